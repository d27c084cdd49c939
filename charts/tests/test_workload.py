"""What runs: the Deployment and its pods."""

import pytest
from conftest import NAMESPACE, RELEASE, of_kind, render, the


def pod_of(objects):
    return the(objects, "Deployment")["spec"]["template"]["spec"]


def container_of(objects):
    (only,) = pod_of(objects)["containers"]
    return only


def test_the_defaults_render_exactly_what_the_operator_needs(defaults):
    assert sorted((o["kind"], o["metadata"]["name"]) for o in defaults) == [
        ("ClusterRole", RELEASE),
        ("ClusterRoleBinding", RELEASE),
        ("CustomResourceDefinition", "doaccounts.doclusteraccess.dev"),
        ("CustomResourceDefinition", "doclusteraccesses.doclusteraccess.dev"),
        ("Deployment", RELEASE),
        ("PodDisruptionBudget", RELEASE),
        ("Role", f"{RELEASE}-leader-election"),
        ("RoleBinding", f"{RELEASE}-leader-election"),
        ("Service", f"{RELEASE}-metrics"),
        ("ServiceAccount", RELEASE),
    ]


def test_namespaced_objects_are_in_the_release_namespace(defaults):
    cluster_scoped = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for candidate in defaults:
        if candidate["kind"] not in cluster_scoped:
            assert candidate["metadata"]["namespace"] == NAMESPACE


def test_the_image_tag_is_the_app_version_unless_a_tag_or_a_digest_is_given(defaults):
    repository = "ghcr.io/do-cluster-access/do-cluster-access"
    digest = "sha256:" + "0123456789abcdef" * 4
    version = defaults[0]["metadata"]["labels"]["app.kubernetes.io/version"]
    assert container_of(defaults)["image"] == f"{repository}:{version}"
    assert container_of(render({"image": {"tag": "edge"}}))["image"] == f"{repository}:edge"
    both = render({"image": {"tag": "edge", "digest": digest}})
    assert container_of(both)["image"] == f"{repository}@{digest}"


def test_the_arguments_state_every_choice_that_a_value_stands_for():
    chosen = render(
        {
            "watchNamespaces": ["team-a", "team-b"],
            "digitalocean": {
                "apiUrl": "https://api.example.com/v2",
                "requestsPerMinute": 100,
                "requestsPerHour": 1500000,
            },
            "workers": 4,
            "leaderElection": {"enabled": False},
            "log": {"format": "json", "filter": "info,kube=debug"},
            "extraArgs": ["--admin-address=127.0.0.1:8080"],
        }
    )
    assert container_of(chosen)["args"] == [
        "run",
        "--digitalocean-api-url=https://api.example.com/v2",
        "--digitalocean-requests-per-minute=100",
        "--digitalocean-requests-per-hour=1500000",
        "--watch-namespace=team-a",
        "--watch-namespace=team-b",
        "--workers=4",
        "--leader-elect=false",
        "--log-format=json",
        "--log-filter=info,kube=debug",
        "--admin-address=127.0.0.1:8080",
    ]


def test_the_default_arguments_are_the_documented_ones(defaults):
    assert container_of(defaults)["args"] == [
        "run",
        "--digitalocean-requests-per-minute=250",
        "--digitalocean-requests-per-hour=5000",
        "--workers=16",
        "--leader-elect=true",
        f"--lease-name={RELEASE}",
        "--log-format=text",
    ]


def test_volumes_are_mounted_as_asked_for():
    volume = {"name": "authorities", "configMap": {"name": "authorities"}}
    mount = {"name": "authorities", "mountPath": "/etc/authorities", "readOnly": True}
    objects = render({"extraVolumes": [volume], "extraVolumeMounts": [mount]})
    assert pod_of(objects)["volumes"] == [volume]
    assert container_of(objects)["volumeMounts"] == [mount]


def test_the_operator_learns_its_namespace_from_the_downward_api(defaults):
    (variable,) = container_of(defaults)["env"]
    assert variable == {
        "name": "POD_NAMESPACE",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    }


def test_extra_environment_variables_are_added_to_the_operators_own():
    proxy = {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}
    assert container_of(render({"extraEnv": [proxy]}))["env"][1:] == [proxy]


def test_the_pod_meets_every_demand_of_pod_security_restricted(defaults):
    pod, container = pod_of(defaults), container_of(defaults)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for forbidden in ("hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers"):
        assert forbidden not in pod
    assert "hostPort" not in container["ports"][0]


def test_the_user_id_can_be_left_to_the_cluster():
    """OpenShift assigns one, and refuses a pod that brings its own."""
    left = render({"podSecurityContext": {"runAsUser": None, "runAsGroup": None}})
    assert pod_of(left)["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_service_account_token_is_mounted_into_the_operators_pod_alone(defaults):
    assert the(defaults, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod_of(defaults)["automountServiceAccountToken"] is True


def test_the_probes_ask_the_admin_port(defaults):
    container = container_of(defaults)
    assert container["ports"] == [{"name": "admin", "containerPort": 8080, "protocol": "TCP"}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}


def test_requests_and_a_memory_limit_are_set(defaults):
    resources = container_of(defaults)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


def test_a_spread_constraint_without_selector_gets_the_one_of_the_deployment(defaults):
    selector = the(defaults, "Deployment")["spec"]["selector"]
    (constraint,) = pod_of(defaults)["topologySpreadConstraints"]
    assert constraint["labelSelector"] == selector
    own = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"tier": "platform"}},
    }
    (constraint,) = pod_of(render({"topologySpreadConstraints": [own]}))["topologySpreadConstraints"]
    assert constraint == own


@pytest.mark.parametrize("value", ["podLabels", "commonLabels"])
def test_a_users_label_cannot_break_the_selector(value):
    objects = render({value: {"app.kubernetes.io/name": "stolen", "team": "platform"}})
    deployment = the(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "platform"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_common_labels_are_on_every_object():
    objects = render({"commonLabels": {"team": "platform"}, "watchNamespaces": ["team-a"]})
    assert [o["kind"] for o in objects if o["metadata"]["labels"].get("team") != "platform"] == []


def test_pod_labels_are_on_the_pods_alone():
    objects = render({"podLabels": {"team": "platform"}})
    assert [o["kind"] for o in objects if "team" in o["metadata"]["labels"]] == []


def test_what_a_pod_spec_is_given_arrives_in_it():
    toleration = {"key": "dedicated", "operator": "Exists"}
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    objects = render(
        {
            "imagePullSecrets": [{"name": "registry"}],
            "priorityClassName": "system-cluster-critical",
            "terminationGracePeriodSeconds": 45,
            "nodeSelector": {"kubernetes.io/arch": "arm64"},
            "tolerations": [toleration],
            "affinity": affinity,
            "podAnnotations": {"example.com/scrape": "true"},
            "deploymentAnnotations": {"example.com/reload": "true"},
            "revisionHistoryLimit": 0,
            "replicas": 2,
        }
    )
    deployment, pod = the(objects, "Deployment"), pod_of(objects)
    assert deployment["spec"]["replicas"] == 2
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"example.com/scrape": "true"}
    assert deployment["metadata"]["annotations"] == {"example.com/reload": "true"}
    assert deployment["spec"]["revisionHistoryLimit"] == 0
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["terminationGracePeriodSeconds"] == 45
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert pod["tolerations"] == [toleration]
    assert pod["affinity"] == affinity


def test_without_leader_election_the_old_pod_stops_before_the_new_one_starts(defaults):
    assert "strategy" not in the(defaults, "Deployment")["spec"]
    alone = the(render({"leaderElection": {"enabled": False}}), "Deployment")
    assert alone["spec"]["strategy"] == {"type": "Recreate"}


def test_a_service_account_of_ones_own_is_used_and_not_created():
    objects = render({"serviceAccount": {"create": False, "name": "existing"}})
    assert of_kind(objects, "ServiceAccount") == []
    assert pod_of(objects)["serviceAccountName"] == "existing"
    for binding in of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding"):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "existing", "namespace": NAMESPACE}
        ]
