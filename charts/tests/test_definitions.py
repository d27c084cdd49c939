"""The chart's version, the CustomResourceDefinitions, and the notes."""

import copy
import os
import re
import subprocess

import pytest
import yaml
from conftest import CHART, NAMESPACE, RELEASE, ROOT, helm, of_kind, render, the

KUBECONFORM = os.environ.get("KUBECONFORM", str(ROOT / ".tools" / "bin" / "kubeconform"))
SCHEMAS = os.environ.get("SCHEMAS", str(ROOT / ".tools" / "schemas"))
KEEP = {"helm.sh/resource-policy": "keep"}


def conforms(manifests):
    """Asserts that every manifest of the text is valid, and that there is one."""
    answer = subprocess.run(
        [
            KUBECONFORM,
            "-strict",
            "-summary",
            "-schema-location",
            f"{SCHEMAS}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        ],
        input=manifests,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Valid: 0," not in answer.stdout, "nothing was checked"


def notes(values=None, command="install"):
    """The notes that `helm install`, or another command, ends with."""
    answer = helm(
        command, RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", values=values or {}
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.partition("NOTES:\n")[2]


def test_the_chart_installs_the_operator_of_its_own_version():
    manifest = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'^\[workspace\.package\]\nversion = "(.+)"', manifest, re.MULTILINE).group(1)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_definitions_are_the_generated_ones_and_survive_an_uninstall(defaults):
    sources = [
        document
        for path in sorted((ROOT / "crds").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    rendered = of_kind(defaults, "CustomResourceDefinition")
    assert sources, "there are no definitions in crds/"
    assert [definition["spec"] for definition in rendered] == [source["spec"] for source in sources]
    for definition, source in zip(rendered, sources):
        own = source["metadata"].get("annotations") or {}
        assert definition["metadata"]["annotations"] == own | KEEP
        assert definition["metadata"]["name"] == source["metadata"]["name"]


def test_the_definitions_can_be_left_to_somebody_else():
    assert of_kind(render({"crds": {"install": False}}), "CustomResourceDefinition") == []


MISSPELT = [
    (
        "DOClusterAccess",
        {"cluster": {"name": "prod"}, "tokenSecretReference": {"name": "digitalocean"}},
        "tokenSecretReference",
    ),
    (
        "DOAccount",
        {"tokenSecretRef": {"name": "digitalocean"}, "allowedNamespace": ["team-a"]},
        "allowedNamespace",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "field"), MISSPELT, ids=[kind for kind, _, _ in MISSPELT])
def test_a_resource_with_a_misspelt_field_does_not_conform(kind, spec, field):
    wrong = {
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "prod"},
        "spec": spec,
    }
    with pytest.raises(AssertionError, match=f"'{field}' not allowed"):
        conforms(yaml.safe_dump(wrong))


def test_a_built_in_kind_with_a_misspelt_field_does_not_conform(defaults):
    wrong = copy.deepcopy(the(defaults, "Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(AssertionError, match="livenessProb"):
        conforms(yaml.safe_dump(wrong))


def test_the_resource_in_the_notes_is_valid():
    shown = re.search(r"<<EOF\n(.*?)\n\s*EOF", notes(), re.DOTALL)
    conforms("\n".join(line.removeprefix("  ") for line in shown.group(1).splitlines()))


def test_the_notes_use_a_namespace_that_is_served():
    assert "kubectl -n default get doca" in notes()
    narrowed = notes({"watchNamespaces": ["team-a", "team-b"]})
    assert "kubectl -n team-a get doca" in narrowed
    assert "default" not in narrowed


def test_the_notes_say_whether_accounts_are_served():
    unserved = "DOAccount objects are not served"
    watched = {"watchNamespaces": ["team-a"]}
    assert unserved in notes(watched)
    assert unserved not in notes(watched | {"rbac": {"accounts": True}})
    assert unserved not in notes()


def test_the_notes_say_when_nothing_will_be_renewed():
    assert "no credential is renewed" in notes({"replicas": 0})
    assert "no credential is renewed" not in notes()


ACCOUNT = {
    "create": True,
    "token": "a-token-that-nobody-may-see",
    "allowedNamespaces": ["team-*", "argocd"],
    "allowedClusters": {"names": ["*"]},
}


def test_the_notes_lead_to_an_account_that_is_there_instead_of_a_token():
    shown = notes({"account": ACCOUNT})
    assert "kubectl get doaccount default" in shown
    assert "kubectl -n argocd get doca" in shown, "the first namespace that is none of the globs"
    assert "create secret" not in shown and "tokenSecretRef" not in shown
    assert "accountRef" not in shown
    assert "name: shared" in notes({"account": ACCOUNT | {"name": "shared"}})


def test_the_notes_name_the_secret_that_has_to_hold_the_token():
    existing = ACCOUNT | {"token": "", "existingSecret": {"name": "digitalocean", "key": "token"}}
    assert f"in the Secret digitalocean of namespace {NAMESPACE}, under the key token" in notes({"account": existing})


def test_the_notes_do_not_show_the_api_token():
    assert ACCOUNT["token"] not in notes({"account": ACCOUNT})


def test_the_notes_say_when_an_account_allows_nothing():
    closed = ACCOUNT | {"allowedNamespaces": [], "allowedClusters": {}}
    assert "allows no namespace" in notes({"account": closed})
    assert "allows no cluster" in notes({"account": closed})
    assert "allows no" not in notes({"account": ACCOUNT})
