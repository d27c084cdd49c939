"""What stands around the pods: budget for drains, network, metrics, and the account."""

import base64

import yaml
from conftest import CHART, NAMESPACE, RELEASE, of_kind, render, the

ACCOUNT = {"create": True, "token": "a-token", "allowedNamespaces": ["argocd"]}


def pods(objects):
    return the(objects, "Deployment")["spec"]["selector"]["matchLabels"]


def test_a_single_replica_can_be_drained(defaults):
    budget = the(defaults, "PodDisruptionBudget")["spec"]
    assert the(defaults, "Deployment")["spec"]["replicas"] == 1
    assert budget["maxUnavailable"] == 1 and "minAvailable" not in budget
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"]["matchLabels"] == pods(defaults)


def test_the_network_policy_lets_in_metrics_and_lets_out_dns_and_the_ports_of_apis():
    objects = render({"networkPolicy": {"enabled": True}})
    policy = the(objects, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == pods(objects)
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": "admin"}]}]
    dns, apis = policy["egress"]
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert [port["port"] for port in apis["ports"]] == [443, 6443]


def test_the_port_of_another_api_is_open_as_well():
    for url, ports in [
        ("https://api.example.com:8443/v2", [443, 6443, 8443]),
        ("https://api.example.com", [443, 6443]),
        ("https://[2001:db8::1]:9443", [443, 6443, 9443]),
        ("https://[2001:db8::1]", [443, 6443]),
    ]:
        objects = render({"networkPolicy": {"enabled": True}, "digitalocean": {"apiUrl": url}})
        apis = the(objects, "NetworkPolicy")["spec"]["egress"][1]
        assert [port["port"] for port in apis["ports"]] == ports, url


def test_more_connections_can_be_allowed_and_metrics_be_kept_for_some():
    proxy = {"ports": [{"protocol": "TCP", "port": 3128}]}
    prometheus = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
    given = {"enabled": True, "extraEgress": [proxy], "metricsFrom": [prometheus]}
    policy = the(render({"networkPolicy": given}), "NetworkPolicy")["spec"]
    assert policy["egress"][2] == proxy
    assert policy["ingress"][0]["from"] == [prometheus]


def test_the_service_leads_to_the_metrics_of_the_pods(defaults):
    service = the(defaults, "Service")
    assert service["spec"]["selector"] == pods(defaults)
    (port,) = service["spec"]["ports"]
    (admin,) = the(defaults, "Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("metrics", 8080, admin["name"])


def test_the_service_monitor_finds_the_service_and_keeps_the_labels_of_accesses():
    labels = {"release": "kube-prometheus-stack"}
    given = {"serviceMonitor": {"enabled": True, "labels": labels, "interval": "30s"}}
    objects = render({"metrics": given})
    monitor, service = the(objects, "ServiceMonitor"), the(objects, "Service")
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "metrics", "path": "/metrics", "honorLabels": True, "interval": "30s"}


def test_the_alerts_are_those_of_the_file_with_the_templates_of_prometheus_left_alone():
    objects = render({"metrics": {"prometheusRule": {"enabled": True, "labels": {"prometheus": "main"}}}})
    rule = the(objects, "PrometheusRule")
    assert rule["metadata"]["labels"]["prometheus"] == "main"
    written = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert rule["spec"] == written
    assert "{{" in str(written), "alerts say what they are about"


def test_labels_for_the_alerts_win_over_their_own():
    plain = {"metrics": {"prometheusRule": {"enabled": True}}}
    labelled = {"metrics": {"prometheusRule": {"enabled": True, "alertLabels": {"severity": "x", "team": "a"}}}}
    before, after = (the(render(values), "PrometheusRule")["spec"]["groups"] for values in (plain, labelled))
    alerts = 0
    for old, new in zip(before, after, strict=True):
        for one, other in zip(old["rules"], new["rules"], strict=True):
            alerts += "alert" in one
            added = {"severity": "x", "team": "a"} if "alert" in one else {}
            assert other.get("labels", {}) == one.get("labels", {}) | added
    assert alerts


def test_the_dashboard_is_the_file_where_grafana_looks_for_it():
    given = {"enabled": True, "namespace": "monitoring", "annotations": {"grafana_folder": "Clusters"}}
    board = the(render({"metrics": {"dashboard": given}}), "ConfigMap")
    assert board["metadata"]["namespace"] == "monitoring"
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["annotations"] == {"grafana_folder": "Clusters"}
    (content,) = board["data"].values()
    assert content == (CHART / "files" / "dashboard.json").read_text().strip()


def test_an_account_by_its_token_has_a_secret_and_what_is_not_listed_is_not_allowed():
    objects = render({"account": ACCOUNT})
    account, secret = the(objects, "DOAccount"), the(objects, "Secret")
    name = f"{RELEASE}-account"
    assert account["metadata"]["name"] == "default"
    assert account["spec"] == {
        "tokenSecretRef": {"name": name, "key": "access-token"},
        "allowedNamespaces": ["argocd"],
    }
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == (name, NAMESPACE)
    assert base64.b64decode(secret["data"]["access-token"]) == b"a-token"


def test_an_account_by_an_existing_secret_makes_none():
    existing = {"create": True, "existingSecret": {"name": "digitalocean", "key": "token"}}
    clusters = {"ids": [], "names": ["prod-*"]}
    objects = render({"account": existing | {"name": "shared", "allowedClusters": clusters}})
    account = the(objects, "DOAccount")
    assert of_kind(objects, "Secret") == []
    assert account["metadata"]["name"] == "shared"
    assert account["spec"] == {
        "tokenSecretRef": {"name": "digitalocean", "key": "token"},
        "allowedClusters": {"names": ["prod-*"]},
    }


def test_no_name_is_longer_than_a_label_may_be():
    given = {"fullnameOverride": "a" * 63, "account": ACCOUNT, "metrics": {"dashboard": {"enabled": True}}}
    for candidate in render(given):
        if candidate["kind"] != "CustomResourceDefinition":
            assert len(candidate["metadata"]["name"]) <= 63, candidate["metadata"]["name"]
