"""The values: refused when wrong, documented when right."""

import json
import re

import pytest
import yaml
from conftest import CHART, NAMESPACE, RELEASE, helm, render, the

# Values whose content is a Kubernetes type of its own: documented as one, not key by key.
WHOLE = {
    "commonLabels",
    "livenessProbe",
    "readinessProbe",
    "podSecurityContext",
    "securityContext",
    "podLabels",
    "podAnnotations",
    "nodeSelector",
    "affinity",
    "serviceAccount.annotations",
}

REFUSED = {
    "an unknown key": ({"replicaCount": 2}, "replicaCount"),
    "an unknown nested key": ({"image": {"version": "1"}}, "version"),
    "replicas as text": ({"replicas": "two"}, "/replicas"),
    "negative replicas": ({"replicas": -1}, "/replicas"),
    "an http URL": ({"digitalocean": {"apiUrl": "http://api.example.com"}}, "/digitalocean/apiUrl"),
    "a budget of zero": ({"digitalocean": {"requestsPerMinute": 0}}, "/digitalocean/requestsPerMinute"),
    "no workers": ({"workers": 0}, "/workers"),
    "a log format that does not exist": ({"log": {"format": "xml"}}, "/log/format"),
    "a namespace in capitals": ({"watchNamespaces": ["Team-A"]}, "/watchNamespaces/0"),
    "accounts as text": ({"rbac": {"accounts": "true"}}, "/rbac/accounts"),
    "a namespace twice": ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
    "a pull policy that does not exist": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    "an image without repository": ({"image": {"repository": ""}}, "/image/repository"),
    "a shortened digest": ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
    "a label that is no label": ({"podLabels": {"team": "a b"}}, "/podLabels/team"),
    "a probe of another kind": ({"livenessProbe": {"exec": {}}}, "/livenessProbe"),
    "a memory limit that is no quantity": (
        {"resources": {"limits": {"memory": "lots"}}},
        "/resources/limits/memory",
    ),
    "two replicas without election": (
        {"replicas": 2, "leaderElection": {"enabled": False}},
        "Enable leader election or run one replica",
    ),
}


def keys(values, prefix=""):
    """The path and default of every value, a Kubernetes type counting as one."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and path not in WHOLE:
            yield from keys(value, f"{path}.")
        else:
            yield path, value


def properties(schema, definitions, prefix=""):
    """The path of every value that the schema knows by name."""
    schema = definitions.get(schema.get("$ref", "").rpartition("/")[2], schema)
    for name, property_schema in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        deeper = [] if path in WHOLE else list(properties(property_schema, definitions, f"{path}."))
        yield from deeper or [path]


@pytest.fixture(scope="module")
def values():
    return yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize(("bad", "names"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused_with_its_path(bad, names):
    answer = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=bad)
    assert answer.returncode != 0
    assert names in answer.stderr


def test_the_readme_lists_every_value_with_its_default(values):
    table = (CHART / "README.md").read_text().partition("\n## Values\n")[2]
    rows = re.findall(r"^\| `([^`]+)` \| `(.*?)` \|", table, re.MULTILINE)
    listed = {path: yaml.safe_load(default) for path, default in rows}
    assert listed == dict(keys(values))
    assert len(rows) == len(listed), "a value is listed twice"


def test_every_value_has_a_comment(values):
    lines = (CHART / "values.yaml").read_text().splitlines()
    commented = set()
    for number, line in enumerate(lines):
        name = re.match(r"\s*(\w+):", line)
        above = number - 1
        while above >= 0 and re.match(r"\s*# (?!--)", lines[above]):
            above -= 1
        if name and above >= 0 and lines[above].lstrip().startswith("# -- "):
            commented.add(name.group(1))
    assert [path for path, _ in keys(values) if path.rpartition(".")[2] not in commented] == []


def test_the_schema_knows_the_values_and_no_others(values):
    schema = json.loads((CHART / "values.schema.json").read_text())
    # `global` comes from a parent chart. A resource's name is free.
    known = {path for path in properties(schema, schema["definitions"]) if path != "global"}
    assert known - {"resources.claims", "resources.limits", "resources.requests"} == {
        path for path, _ in keys(values) if not path.startswith("resources.")
    }


def test_a_limit_can_be_taken_away():
    objects = render({"resources": {"limits": {"memory": None}}})
    container = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert not container["resources"].get("limits")


def test_a_parent_charts_globals_are_no_error():
    render({"global": {"imageRegistry": "registry.example.com"}})
