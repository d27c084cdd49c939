"""What deploy/ offers to those who do without Helm."""

import os
import re
import shutil
import subprocess

import yaml
from conftest import ROOT, of_kind, the

KUBECTL = os.environ.get("KUBECTL", str(ROOT / ".tools" / "bin" / "kubectl"))
INSTALL = ROOT / "deploy" / "install.yaml"


def kustomize(directory):
    answer = subprocess.run(
        [KUBECTL, "kustomize", str(ROOT / directory)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


def key(candidate):
    metadata = candidate["metadata"]
    return (candidate["kind"], metadata.get("namespace", ""), metadata["name"])


def installed():
    return [document for document in yaml.safe_load_all(INSTALL.read_text()) if document]


def test_the_kustomization_is_install_yaml():
    assert sorted(kustomize("deploy"), key=key) == sorted(installed(), key=key)


def test_the_namespace_enforces_pod_security_restricted_and_comes_first():
    namespace = installed()[0]
    assert namespace["kind"] == "Namespace"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_nothing_in_install_yaml_says_that_helm_manages_it():
    for candidate in installed():
        labels = candidate["metadata"].get("labels", {})
        assert "helm.sh/chart" not in labels
        assert labels.get("app.kubernetes.io/managed-by") != "Helm"


def test_the_kustomization_in_the_readme_changes_what_it_says_and_nothing_else(tmp_path):
    page = (ROOT / "deploy" / "README.md").read_text()
    (shown,) = re.findall(r"^```yaml fragment\n(apiVersion: kustomize.*?)^```", page, re.MULTILINE | re.DOTALL)
    example, there = re.subn(r"https://github\.com/\S+//deploy\?ref=\S+", "../deploy", shown)
    assert there == 1
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(example)
    objects = kustomize(tmp_path / "mine")
    assert sorted(map(key, objects)) == sorted(map(key, installed()))
    deployment = the(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert container["image"].startswith("registry.example.com/mirror/do-cluster-access:")
    assert container["args"][-1] == "--log-format=json"
    assert {candidate["metadata"]["labels"]["team"] for candidate in objects} == {"platform"}
    before = the(installed(), "Deployment")["spec"]
    assert deployment["spec"]["selector"] == before["selector"], "it could not be applied over the other"
    assert of_kind(objects, "CustomResourceDefinition")
