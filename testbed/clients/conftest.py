"""A running simulator with clusters of every kind, shared by all tests of a run."""

import json
import os
import pathlib
import shlex
import subprocess
import urllib.request

import pytest

CLIENTS = pathlib.Path(__file__).resolve().parent
REPOSITORY = CLIENTS.parent.parent

# Nothing is left in the source tree.
HYPOTHESIS = REPOSITORY / ".tools" / "hypothesis"
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(HYPOTHESIS))

FULL = "dop_v1_full"
READ_ONLY = "dop_v1_read_only"
NO_SCOPE = "dop_v1_no_scope"
# Of an account that may make one request in a minute.
LIMITED = "dop_v1_limited"

# One cluster of each kind beside the plain ones. No `deleting`: one makes godo's whole list fail.
KINDS = {
    "certificate": {"authentication": {"certificate": {"lifetime_seconds": 604800}}},
    "certificate-with-expiry": {
        "authentication": {
            "certificate": {"lifetime_seconds": 3600, "expires_at": "not_after"},
        },
    },
    "sso": {"sso": {"enabled": True}},
    "sso-required": {"sso": {"enabled": True, "required": True}},
    "ha-with-firewall": {"ha": True, "firewall": ["192.0.2.0/24"]},
    "tagged": {"tags": ["env:prod", "blue"], "version": "1.35.1-do.2", "region": "ams3"},
    "degraded": {"state": "degraded", "message": "a node is missing"},
    "upgrading": {"state": "upgrading"},
    "provisioning": {"state": "provisioning", "message": "creating"},
    "error": {"state": "error", "message": "the network could not be made"},
}
PLAIN = 25


class Simulator:
    """The simulator's process, and its control endpoints."""

    def __init__(self):
        # By cargo, so that a build is never forgotten. It replaces itself by what it runs.
        usual = "cargo run --quiet --locked --package do-cluster-access-testbed --"
        command = shlex.split(os.environ.get("SIMULATOR") or usual)
        command += ["simulate", "--listen", "127.0.0.1:0", "--clusters", "0", "--token", FULL]
        command += ["--requests-per-minute", "1000000", "--requests-per-hour", "1000000"]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        introduction = self.process.stdout.readline()
        assert introduction, "the simulator did not start"
        self.url = introduction.split()[-1]

    def control(self, method, path, body=None):
        """What a control endpoint answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_simulator{path}", data, method=method)
        with urllib.request.urlopen(request) as response:
            text = response.read()
        return json.loads(text) if text else None

    def history(self):
        """Every request so far."""
        with urllib.request.urlopen(f"{self.url}/_simulator/history") as lines:
            return [json.loads(line) for line in lines]

    def populate(self):
        """Adds the clusters and API tokens of the tests, and remembers the clusters' ids."""
        account = self.control("GET", "/accounts")[0]["label"]
        for token, scope in [(READ_ONLY, "read_only"), (NO_SCOPE, "none")]:
            self.control("POST", "/tokens", {"account": account, "token": token, "scope": scope})
        limits = {"requests_per_minute": 1, "requests_per_hour": 1000}
        user = {"username": "limited@example.com", "groups": []}
        self.control("POST", "/accounts", {"label": "limited", "user": user, "limits": limits})
        self.control("POST", "/tokens", {"account": "limited", "token": LIMITED})
        plain = {f"plain-{number:02}": {} for number in range(PLAIN)}
        self.ids = {}
        for name, kind in (plain | KINDS).items():
            cluster = {"account": account, "cluster": {"name": name, **kind}}
            self.ids[name] = self.control("POST", "/clusters", cluster)["id"]

    def stop(self):
        """Ends the process; it must end well."""
        self.process.terminate()
        self.process.stdout.close()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture(scope="session")
def simulator():
    """The simulator of this run."""
    running = Simulator()
    try:
        running.populate()
        yield running
    finally:
        running.stop()


def pytest_terminal_summary(terminalreporter):
    """Repeats, where nobody overlooks it, which checks were skipped and why."""
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_sep("!", "A CHECK WAS SKIPPED", red=True, bold=True)
        terminalreporter.write_line(f"{report.nodeid}: {report.longrepr[2]}")
