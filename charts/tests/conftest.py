"""The chart as Helm renders it, for the tests beside this file."""

import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "do-cluster-access"
HELM = os.environ.get("HELM", str(ROOT / ".tools" / "bin" / "helm"))
RELEASE = "do-cluster-access"
NAMESPACE = "operators"


def helm(*arguments, values=None):
    """Runs Helm with `values` as a values file and returns the completed process."""
    command = [HELM, *arguments]
    if values is not None:
        command += ["--values", "-"]
    return subprocess.run(
        command,
        input=yaml.safe_dump(values) if values is not None else None,
        capture_output=True,
        text=True,
        check=False,
    )


def render(values=None):
    """The objects that the chart renders to with these values."""
    answer = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values or {})
    assert answer.returncode == 0, answer.stderr
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


def of_kind(objects, kind):
    """Those of the objects that are of this kind."""
    return [candidate for candidate in objects if candidate["kind"] == kind]


def the(objects, kind):
    """The one object of this kind."""
    (only,) = of_kind(objects, kind)
    return only


@pytest.fixture(scope="session")
def defaults():
    """What the chart renders to with no value set."""
    return render()
