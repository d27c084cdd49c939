"""The values: refused when wrong, documented when right."""

import json
import re
import sys

import pytest
import yaml
from conftest import CHART, NAMESPACE, RELEASE, ROOT, helm, render, the

sys.path.insert(0, str(ROOT / "charts"))
import readme  # noqa: E402

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
    "deploymentAnnotations",
    "metrics.service.annotations",
    "metrics.serviceMonitor.labels",
    "metrics.prometheusRule.labels",
    "metrics.prometheusRule.alertLabels",
    "metrics.dashboard.labels",
    "metrics.dashboard.annotations",
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
    "a budget that keeps a node from being drained": (
        {"podDisruptionBudget": {"maxUnavailable": 0}},
        "/podDisruptionBudget/maxUnavailable",
    ),
    "a budget of no percent": (
        {"podDisruptionBudget": {"maxUnavailable": "0%"}},
        "/podDisruptionBudget/maxUnavailable",
    ),
    "a minimum of available pods": ({"podDisruptionBudget": {"minAvailable": 1}}, "minAvailable"),
    "no port to connect to": ({"networkPolicy": {"egressPorts": []}}, "/networkPolicy/egressPorts"),
    "a port that does not exist": ({"networkPolicy": {"egressPorts": [70000]}}, "/networkPolicy/egressPorts/0"),
    "a port by name": ({"metrics": {"service": {"port": "http"}}}, "/metrics/service/port"),
    "an interval without unit": (
        {"metrics": {"serviceMonitor": {"interval": "30"}}},
        "/metrics/serviceMonitor/interval",
    ),
    "a ServiceMonitor without a Service": (
        {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
        "set metrics.service.enabled=true",
    ),
    "a volume without name": ({"extraVolumes": [{"emptyDir": {}}]}, "/extraVolumes/0"),
    "a mount without path": ({"extraVolumeMounts": [{"name": "ca"}]}, "/extraVolumeMounts/0"),
    "an API token with a line break": (
        {"account": {"create": True, "token": "not-a-token\n"}},
        "account.token holds a space or a line break",
    ),
    "a cluster's name among the ids": (
        {"account": {"allowedClusters": {"ids": ["prod"]}}},
        "/account/allowedClusters/ids/0",
    ),
    "a namespace that cannot be": (
        {"account": {"allowedNamespaces": ["Team A"]}},
        "/account/allowedNamespaces/0",
    ),
    "an account without a token": ({"account": {"create": True}}, "account.create needs an API token"),
    "an account with two tokens": (
        {"account": {"create": True, "token": "a", "existingSecret": {"name": "b"}}},
        "keep one of them",
    ),
    "an account that is not created": (
        {"account": {"allowedNamespaces": ["team-a"]}},
        "set account.create=true",
    ),
    "an account that is not served": (
        {"account": {"create": True, "token": "a"}, "watchNamespaces": ["team-a"]},
        "needs rbac.accounts=true",
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


def test_a_refused_api_token_is_not_quoted():
    secret = "no one may see this"
    answer = helm("template", RELEASE, str(CHART), values={"account": {"create": True, "token": secret}})
    assert answer.returncode != 0 and "account.token" in answer.stderr
    assert secret not in answer.stdout + answer.stderr


def test_the_readme_lists_every_value_with_its_default(values):
    table = (CHART / "README.md").read_text().partition("\n## Values\n")[2]
    rows = re.findall(r"^\| `([^`]+)` \| `(.*?)` \|", table, re.MULTILINE)
    listed = {path: yaml.safe_load(default) for path, default in rows}
    assert listed == dict(keys(values))
    assert len(rows) == len(listed), "a value is listed twice"


def test_the_readme_is_generated_from_the_comments_of_the_values():
    generated = readme.table((CHART / "values.yaml").read_text())
    assert generated in (CHART / "README.md").read_text(), "run `make generate-deploy`"


def test_a_value_without_a_comment_is_an_error():
    with pytest.raises(SystemExit, match="image.tag has no comment"):
        readme.table("image:\n  # -- Its name.\n  name: a\n\n  tag: b\n")


def test_a_comment_of_several_lines_is_one_sentence_and_documents_a_whole_object():
    text = "# -- Labels on\n# the pods.\nlabels:\n  grafana: \"1\"\n"
    assert readme.table(text).splitlines()[2] == "| `labels` | `{grafana: '1'}` | Labels on the pods. |"


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
