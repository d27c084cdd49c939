"""The alerts and the dashboard, beside what the documentation says of them.

That the dashboard's queries find something is shown by the integration tests, which have a Prometheus scrape the operator.
"""

import itertools
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml
from conftest import CHART, ROOT

PROMTOOL = os.environ.get("PROMTOOL", str(ROOT / ".tools" / "bin" / "promtool"))
ALERTS = CHART / "files" / "alerts.yaml"
TESTS = pathlib.Path(__file__).resolve().parent / "alerts"
RUNBOOK = ROOT / "docs" / "alerts.md"
RUNBOOK_URL = "https://github.com/do-cluster-access/do-cluster-access/blob/main/docs/alerts.md"

RULES = {rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def promtool(*arguments):
    """Runs promtool and returns the completed process."""
    return subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


def series_of_the_operator():
    """Names of all series that the operator exports, as the generated reference lists them."""
    table = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(do_cluster_access_\w+)` \| (\w+) \|", table, re.MULTILINE)
    assert rows
    endings = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + ending for name, kind in rows for ending in endings.get(kind, ("",))}


def test_prometheus_accepts_the_rules():
    answer = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_alert_and_nothing_else_has_a_file_of_tests():
    assert {path.stem for path in TESTS.iterdir()} == set(RULES)


@pytest.mark.parametrize("alert", RULES)
def test_the_alert_fires_when_it_should_and_only_then(alert):
    path = TESTS / f"{alert}.yaml"
    cases = [case for test in yaml.safe_load(path.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases} == {alert}
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}
    answer = promtool("test", "rules", path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("alert", RULES)
def test_the_alert_says_what_it_is_about_and_where_to_read_on(alert):
    rule = RULES[alert]
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOK_URL}#{alert.lower()}"


@pytest.mark.parametrize("alert", RULES)
def test_the_runbook_has_an_entry_that_says_what_to_look_at_and_what_to_do(alert):
    (entry,) = re.findall(rf"^## {alert}\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    for part in (r"\*\*Means:", r"\*\*Look at\b", r"\*\*(Do|Look at and do)\b"):
        assert re.search(part, entry), f"no {part}"


def test_the_table_of_the_runbook_agrees_with_the_rules():
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| .* \| ([^|]+) \|$", RUNBOOK.read_text(), re.MULTILINE)
    said = {alert: (anchor, severity, after) for alert, anchor, severity, after in rows}
    units = {"m": " min", "h": " h"}
    for alert, rule in RULES.items():
        lasting = rule.get("for")
        after = re.sub(r"[mh]$", lambda unit: units[unit[0]], lasting) if lasting else "at once"
        assert said.pop(alert) == (alert.lower(), rule["labels"]["severity"], after)
    assert not said


def test_alerts_and_dashboard_ask_for_series_that_there_are():
    known = series_of_the_operator()
    asked = set()
    for expression in [*QUERIES, *(rule["expr"] for rule in RULES.values()), ALERTS.read_text()]:
        asked |= set(re.findall(r"\bdo_cluster_access_\w+", expression))
    for variable in DASHBOARD["templating"]["list"]:
        asked |= set(re.findall(r"\bdo_cluster_access_\w+", json.dumps(variable)))
    assert asked <= known, asked - known


def test_the_panels_of_the_dashboard_stand_beside_each_other():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        assert columns.stop <= 24, panel["title"]
        for cell in itertools.product(columns, range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, panel["title"]
            taken.add(cell)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_the_panel_says_what_it_shows_and_obeys_every_variable(panel):
    assert panel["description"]
    for query in [panel, *panel["targets"]]:
        assert query["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        selectors = re.findall(r"(do_cluster_access_\w+)(\{[^}]*\})?", target["expr"])
        assert selectors
        for series, selector in selectors:
            assert '{cluster=~"$cluster", job=~"$job"' in selector, series
            of_access = re.search(r"access_(expiration|renewal|verified|ready|synced)", series)
            assert ('namespace=~"$namespace"' in selector) == bool(of_access), series
