"""What the operator may do: exactly what it uses, and the same in both variants."""

import pytest
from conftest import NAMESPACE, RELEASE, of_kind, render, the

ACCESS = [
    (["doclusteraccess.dev"], ["doclusteraccesses"], ["list", "watch"]),
    (["doclusteraccess.dev"], ["doclusteraccesses/status"], ["patch"]),
    ([""], ["secrets"], ["get", "list", "watch", "create", "patch", "delete"]),
    (["events.k8s.io"], ["events"], ["create"]),
]
ACCOUNTS = [
    (["doclusteraccess.dev"], ["doaccounts"], ["list", "watch"]),
    (["doclusteraccess.dev"], ["doaccounts/status"], ["patch"]),
]
WITH_ACCOUNTS = {"watchNamespaces": ["team-a"], "rbac": {"accounts": True}}
VARIANTS = pytest.mark.parametrize(
    "values",
    [{}, {"watchNamespaces": ["team-a"]}, WITH_ACCOUNTS],
    ids=["cluster", "namespaced", "accounts"],
)


def rules(role):
    """The rules as (API groups, resources, verbs); a rule of any other shape is an error."""
    plain = {"apiGroups", "resources", "verbs"}
    assert all(set(rule) == plain for rule in role["rules"])
    return [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in role["rules"]]


def named(objects, kind, suffix):
    """The one object of this kind whose name ends like this."""
    (only,) = [o for o in of_kind(objects, kind) if o["metadata"]["name"].endswith(suffix)]
    return only


def test_by_default_a_cluster_role_grants_what_the_operator_uses(defaults):
    assert rules(the(defaults, "ClusterRole")) == ACCESS + ACCOUNTS
    binding = the(defaults, "ClusterRoleBinding")
    assert binding["roleRef"]["kind"] == "ClusterRole"
    assert binding["roleRef"]["name"] == the(defaults, "ClusterRole")["metadata"]["name"]


def test_with_watch_namespaces_the_same_rules_are_roles_and_nothing_is_cluster_wide():
    objects = render({"watchNamespaces": ["team-a", "team-b"]})
    assert of_kind(objects, "ClusterRole") + of_kind(objects, "ClusterRoleBinding") == []
    roles = [role for role in of_kind(objects, "Role") if role["metadata"]["name"] == RELEASE]
    assert [role["metadata"]["namespace"] for role in roles] == ["team-a", "team-b"]
    assert [rules(role) for role in roles] == [ACCESS, ACCESS]


def test_every_watched_namespace_binds_its_role_to_the_operators_account():
    objects = render({"watchNamespaces": ["team-a", "team-b"]})
    bindings = [b for b in of_kind(objects, "RoleBinding") if b["metadata"]["name"] == RELEASE]
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["team-a", "team-b"]
    for binding in bindings:
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["roleRef"]["name"] == RELEASE
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}
        ]


def test_with_accounts_the_watched_namespaces_get_the_same_roles_and_no_more():
    plain, extended = render({"watchNamespaces": ["team-a"]}), render(WITH_ACCOUNTS)
    added = [candidate for candidate in extended if candidate not in plain]
    assert [candidate for candidate in plain if candidate not in extended] == []
    assert [candidate["kind"] for candidate in added] == [
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ]
    assert {candidate["metadata"]["name"] for candidate in added} == {f"{RELEASE}-accounts"}


def test_with_accounts_a_cluster_role_grants_accounts_and_nothing_else():
    objects = render(WITH_ACCOUNTS)
    role, binding = the(objects, "ClusterRole"), the(objects, "ClusterRoleBinding")
    assert rules(role) == ACCOUNTS
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("ClusterRole", role["metadata"]["name"])
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}]


def test_with_accounts_the_secrets_of_the_release_namespace_may_be_read_and_nothing_else():
    objects = render(WITH_ACCOUNTS)
    role, binding = named(objects, "Role", "-accounts"), named(objects, "RoleBinding", "-accounts")
    assert rules(role) == [([""], ["secrets"], ["get"])]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == NAMESPACE
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", role["metadata"]["name"])
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}]


def test_the_release_namespace_can_be_a_watched_one_that_has_accounts():
    objects = render({"watchNamespaces": [NAMESPACE], "rbac": {"accounts": True}})
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    assert len(names) == len(set(names))


def test_a_long_release_name_leaves_room_for_the_ends_of_the_roles_names():
    objects = render(WITH_ACCOUNTS | {"fullnameOverride": "a" * 63})
    for kind in ("Role", "ClusterRole"):
        assert named(objects, kind, "-accounts")["metadata"]["name"] == "a" * 54 + "-accounts"


def test_without_watch_namespaces_the_value_accounts_changes_nothing(defaults):
    assert render({"rbac": {"accounts": True}}) == defaults


@VARIANTS
def test_the_lease_is_the_only_one_that_the_operator_may_change(values):
    role = named(render(values), "Role", "-leader-election")
    assert role["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["do-cluster-access"],
            "verbs": ["get", "update"],
        },
    ]


def test_two_releases_in_one_namespace_have_a_lease_each():
    objects = render({"fullnameOverride": "other"})
    (arguments,) = [c["args"] for c in the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]]
    (role,) = of_kind(objects, "Role")
    assert "--lease-name=other" in arguments
    assert role["rules"][1]["resourceNames"] == ["other"]


def test_without_leader_election_there_is_no_right_to_leases():
    objects = render({"leaderElection": {"enabled": False}})
    assert of_kind(objects, "Role") + of_kind(objects, "RoleBinding") == []


@VARIANTS
def test_without_rbac_no_role_and_no_binding_is_created(values):
    objects = render(values | {"rbac": {"accounts": "rbac" in values, "create": False}})
    assert {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}.isdisjoint(
        candidate["kind"] for candidate in objects
    )


@VARIANTS
def test_no_rule_holds_a_wildcard(values):
    for role in of_kind(render(values), "Role") + of_kind(render(values), "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in sum(rule.values(), [])
