"""Every answer of the simulator, faults apart, is one that DigitalOcean's OpenAPI document has.

The document is named by DIGITALOCEAN_OPENAPI; it is not part of this repository.
"""

import itertools
import os
import pathlib

import pytest
import schemathesis
import yaml
from conftest import CLIENTS, FULL, KINDS, LIMITED, NO_SCOPE, READ_ONLY
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup

USUAL = CLIENTS / "../../../shared/reference/digitalocean-kubernetes-openapi.yaml"
NAMED = os.environ.get("DIGITALOCEAN_OPENAPI")
DOCUMENT = pathlib.Path(NAMED or USUAL).resolve()

if NAMED is None and not DOCUMENT.exists():
    pytest.skip(
        f"there is no {DOCUMENT.name} beside this repository: answers were not compared with"
        " DigitalOcean's OpenAPI document (name it by DIGITALOCEAN_OPENAPI)",
        allow_module_level=True,
    )

SCHEMA = schemathesis.openapi.from_path(DOCUMENT)
RESPONSES = {
    path: item["get"]["responses"]
    for path, item in yaml.safe_load(DOCUMENT.read_text())["paths"].items()
}
CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LIST = "/v2/kubernetes/clusters"
OF_CLUSTER = LIST + "/{cluster_id}"
PATHS = [LIST, OF_CLUSTER, OF_CLUSTER + "/kubeconfig", OF_CLUSTER + "/credentials"]
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_the_document_describes_the_four_operations():
    operations = sorted(result.ok().label for result in SCHEMA.get_all_operations())
    assert operations == sorted(f"GET {path}" for path in PATHS)


def unknown_fields(schema, value, where="$"):
    """Paths of the fields of a JSON value that its schema does not have."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(schema.get("items", {}), item, f"{where}[{index}]")
    if not isinstance(value, dict):
        return
    parts = list(flattened(schema))
    for name, item in value.items():
        properties = (part.get("properties", {}) for part in parts)
        described = [known[name] for known in properties if name in known]
        if described:
            yield from unknown_fields(merged(described), item, f"{where}.{name}")
        elif not any(is_free_form(part) for part in parts):
            yield f"{where}.{name}"


def is_free_form(schema):
    """Whether an object of this schema may have any field."""
    return schema.get("type") == "object" and "properties" not in schema


def merged(schemas):
    """One schema for a field that several describe."""
    parts = [part for schema in schemas for part in flattened(schema)]
    items = next((part["items"] for part in parts if "items" in part), {})
    return {"allOf": schemas, "items": items}


def flattened(schema):
    """A schema and all that it is combined of."""
    yield schema
    for word in ["allOf", "anyOf", "oneOf"]:
        for part in schema.get(word, []):
            yield from flattened(part)


def described_body(path, status):
    """The schema of an answer's JSON."""
    response = RESPONSES[path].get(str(status), RESPONSES[path]["default"])
    return response["content"]["application/json"]["schema"]


def ask(simulator, path, identifier, token, query=None):
    """The answer to one request, compared with the document."""
    case = SCHEMA[path]["GET"].Case(
        path_parameters={"cluster_id": identifier} if "{" in path else {},
        query=query or {},
        headers={"Authorization": f"Bearer {token}"},
    )
    response = case.call(base_url=simulator.url)
    case.validate_response(response, checks=CONFORMANCE)
    for header in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]:
        assert header in response.headers, header
    if response.headers["content-type"][0].startswith("application/json"):
        schema = described_body(path, response.status_code)
        assert list(unknown_fields(schema, response.json())) == []
    return response


@pytest.mark.parametrize("name", ["plain-00", *KINDS])
@pytest.mark.parametrize("path", PATHS[1:])
def test_answers_about_every_kind_of_cluster_conform(simulator, path, name):
    not_ready = ("provisioning", "error")
    response = ask(simulator, path, simulator.ids[name], FULL)
    expected = 200
    if path != OF_CLUSTER and name in not_ready:
        expected = 404
    elif path.endswith("/credentials") and name == "sso-required":
        expected = 403
    assert response.status_code == expected


@pytest.mark.parametrize("query", [{}, {"per_page": 1}, {"per_page": 7, "page": 3}, {"page": 99}])
def test_every_page_of_the_list_conforms(simulator, query):
    answer = ask(simulator, LIST, None, FULL, query).json()
    assert answer["meta"]["total"] == len(simulator.ids)
    assert len(answer["kubernetes_clusters"]) <= query.get("per_page", 25)


@pytest.mark.parametrize("path", PATHS)
def test_every_refusal_conforms(simulator, path):
    known = simulator.ids["plain-00"]
    mints = path not in (LIST, OF_CLUSTER)
    assert ask(simulator, path, known, "dop_v1_unknown").status_code == 401
    assert ask(simulator, path, known, NO_SCOPE).status_code == 403
    assert ask(simulator, path, known, READ_ONLY).status_code == (403 if mints else 200)
    if path != LIST:
        assert ask(simulator, path, UNKNOWN, FULL).status_code == 404
    if mints:
        assert ask(simulator, path, known, FULL, {"expiry_seconds": "soon"}).status_code == 400
    statuses = [ask(simulator, path, UNKNOWN, LIMITED).status_code for _ in range(2)]
    assert statuses[1] == 429


@pytest.mark.parametrize("name", ["plain-00", "tagged"])
def test_a_kubeconfig_has_the_form_of_the_documents_example(simulator, name):
    response = ask(simulator, OF_CLUSTER + "/kubeconfig", simulator.ids[name], FULL)
    documented = RESPONSES[OF_CLUSTER + "/kubeconfig"]["200"]["content"]["application/yaml"]
    example = yaml.safe_load(documented["example"])
    assert form(yaml.safe_load(response.content)) == form(example)


def form(value):
    """A document with types in the place of values."""
    if isinstance(value, dict):
        return {name: form(item) for name, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value]
    return type(value).__name__


@pytest.mark.parametrize(
    "fault",
    [
        {"expires_at": "null"},
        {"expires_at": "unparsable"},
        {"content_type": "text/plain"},
        {"status": {"code": 500, "body": "html"}},
        {"status": {"code": 503}},
        "truncated_document",
    ],
)
def test_an_answer_that_does_not_conform_is_noticed(simulator, fault):
    matches = {"cluster": simulator.ids["plain-00"]}
    simulator.control("POST", "/faults", {"matches": matches, "kind": fault, "times": 1})
    with pytest.raises((FailureGroup, AssertionError)):
        ask(simulator, OF_CLUSTER + "/credentials", simulator.ids["plain-00"], FULL)
    assert simulator.control("GET", "/faults") == []
    ask(simulator, OF_CLUSTER + "/credentials", simulator.ids["plain-00"], FULL)


def test_a_field_that_the_document_does_not_have_is_noticed():
    schema = described_body(OF_CLUSTER, 200)
    pools = [{"name": "a", "nodes": [{"color": 1}]}]
    answer = {"kubernetes_cluster": {"name": "a", "node_pools": pools, "size": 1}}
    expected = ["$.kubernetes_cluster.node_pools[0].nodes[0].color", "$.kubernetes_cluster.size"]
    assert list(unknown_fields(schema, answer)) == expected


# One cluster after the other, so that what is made up is asked about real ones.
TURNS = itertools.count()


@SCHEMA.parametrize()
@settings(
    max_examples=60,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_the_answer_conforms(case, simulator):
    checks = list(CONFORMANCE)
    if case.meta.generation.mode.is_positive:
        names = [*simulator.ids, None]
        name = names[next(TURNS) % len(names)]
        if case.path_parameters:
            case.path_parameters["cluster_id"] = simulator.ids.get(name, UNKNOWN)
        # The one valid request that is refused: single sign-on where the cluster has none.
        if case.query.get("type") != "sso" or "sso" in KINDS.get(name, {}):
            checks.append(positive_data_acceptance)
    response = case.call(base_url=simulator.url, headers={"Authorization": f"Bearer {FULL}"})
    case.validate_response(response, checks=checks)
