"""What the operator may do: exactly what it uses, and the same in both variants."""

import pytest
from conftest import NAMESPACE, RELEASE, of_kind, render, the

ACCESS = [
    (["doclusteraccess.dev"], ["doclusteraccesses"], ["list", "watch"]),
    (["doclusteraccess.dev"], ["doclusteraccesses/status"], ["patch"]),
    ([""], ["secrets"], ["get", "list", "watch", "create", "patch", "delete"]),
    (["events.k8s.io"], ["events"], ["create"]),
]


def rules(role):
    """The rules as (API groups, resources, verbs); a rule of any other shape is an error."""
    plain = {"apiGroups", "resources", "verbs"}
    assert all(set(rule) == plain for rule in role["rules"])
    return [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in role["rules"]]


def leader_election(objects, kind):
    (only,) = [o for o in of_kind(objects, kind) if o["metadata"]["name"].endswith("-leader-election")]
    return only


def test_by_default_a_cluster_role_grants_what_the_operator_uses(defaults):
    assert rules(the(defaults, "ClusterRole")) == ACCESS
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


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["team-a"]}], ids=["cluster", "namespaced"])
def test_the_lease_is_the_only_one_that_the_operator_may_change(values):
    role = leader_election(render(values), "Role")
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


def test_without_leader_election_there_is_no_right_to_leases():
    objects = render({"leaderElection": {"enabled": False}})
    assert of_kind(objects, "Role") + of_kind(objects, "RoleBinding") == []


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["team-a"]}], ids=["cluster", "namespaced"])
def test_without_rbac_no_role_and_no_binding_is_created(values):
    objects = render(values | {"rbac": {"create": False}})
    assert {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}.isdisjoint(
        candidate["kind"] for candidate in objects
    )


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["team-a"]}], ids=["cluster", "namespaced"])
def test_no_rule_holds_a_wildcard(values):
    for role in of_kind(render(values), "Role") + of_kind(render(values), "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in sum(rule.values(), [])
