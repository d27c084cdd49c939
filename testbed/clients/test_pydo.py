"""pydo, DigitalOcean's client for Python, works with the simulator."""

import base64
import datetime

import pydo
import pytest
from azure.core.exceptions import DecodeError, HttpResponseError
from conftest import FULL, READ_ONLY

# The simulator listens on loopback without TLS, which the library below pydo would refuse.
PLAIN_HTTP = {"enforce_https": False}


@pytest.fixture
def client(simulator):
    """pydo with the API token that may do everything."""
    return pydo.Client(token=FULL, endpoint=simulator.url)


def pages(client, **size):
    """Every page of the list."""
    page = 1
    while True:
        answer = client.kubernetes.list_clusters(page=page, **size, **PLAIN_HTTP)
        yield answer
        if "next" not in answer.get("links", {}).get("pages", {}):
            return
        page += 1


@pytest.mark.parametrize("per_page", [1, 7, 20, 200])
def test_pydo_lists_every_cluster_once_newest_first(client, simulator, per_page):
    listed = []
    for answer in pages(client, per_page=per_page):
        assert answer["meta"]["total"] == len(simulator.ids)
        assert len(answer["kubernetes_clusters"]) <= per_page
        listed += answer["kubernetes_clusters"]
    assert {cluster["name"]: cluster["id"] for cluster in listed} == simulator.ids
    assert len(listed) == len(simulator.ids)
    created = [cluster["created_at"] for cluster in listed]
    assert created == sorted(created, reverse=True)


def test_pydo_gets_every_cluster(client, simulator):
    for name, identifier in simulator.ids.items():
        answer = client.kubernetes.get_cluster(identifier, **PLAIN_HTTP)
        cluster = answer["kubernetes_cluster"]
        assert (cluster["id"], cluster["name"]) == (identifier, name)


def test_pydo_fetches_credentials_of_a_token_cluster(client, simulator):
    identifier = simulator.ids["plain-00"]
    before = datetime.datetime.now(datetime.timezone.utc)
    credentials = client.kubernetes.get_credentials(identifier, expiry_seconds=300, **PLAIN_HTTP)
    assert credentials["server"] == f"https://{identifier}.k8s.ondigitalocean.com"
    assert len(credentials["token"]) == 64
    assert credentials["client_certificate_data"] is None
    authority = base64.b64decode(credentials["certificate_authority_data"], validate=True)
    assert authority.startswith(b"-----BEGIN CERTIFICATE-----\n")
    # Python reads microseconds: nanoseconds are cut.
    expires_at = datetime.datetime.fromisoformat(credentials["expires_at"][:26] + "+00:00")
    lifetime = (expires_at - before).total_seconds()
    assert 299.999 <= lifetime <= 360


def test_pydo_fetches_credentials_of_a_certificate_cluster(client, simulator):
    identifier = simulator.ids["certificate"]
    credentials = client.kubernetes.get_credentials(identifier, expiry_seconds=300, **PLAIN_HTTP)
    assert "token" not in credentials
    for field in ["client_certificate_data", "client_key_data"]:
        decoded = base64.b64decode(credentials[field], validate=True)
        assert decoded.startswith(b"-----BEGIN ")


def test_pydo_cannot_read_a_kubeconfig_but_it_was_answered_with_one(client, simulator):
    """pydo knows no YAML: it gets nothing out of any kubeconfig, DigitalOcean's own included."""
    identifier = simulator.ids["plain-00"]
    answered = len(simulator.history())
    with pytest.raises(DecodeError, match="application/yaml"):
        client.kubernetes.get_kubeconfig(
            identifier, expiry_seconds=300, type="token", **PLAIN_HTTP
        )
    (entry,) = simulator.history()[answered:]
    assert (entry["operation"], entry["cluster"]) == ("get_kubeconfig", identifier)
    assert entry["status"] == 200
    assert entry["minted"] is not None


def test_pydo_raises_what_the_api_refuses(client, simulator):
    gone = "00000000-0000-4000-8000-000000000000"
    answer = client.kubernetes.get_cluster(gone, **PLAIN_HTTP)
    assert answer["id"] == "not_found"
    stranger = pydo.Client(token="dop_v1_unknown", endpoint=simulator.url)
    with pytest.raises(HttpResponseError) as refused:
        stranger.kubernetes.list_clusters(**PLAIN_HTTP)
    assert refused.value.status_code == 401
    reader = pydo.Client(token=READ_ONLY, endpoint=simulator.url)
    with pytest.raises(HttpResponseError) as refused:
        reader.kubernetes.get_credentials(simulator.ids["plain-00"], **PLAIN_HTTP)
    assert refused.value.status_code == 403
