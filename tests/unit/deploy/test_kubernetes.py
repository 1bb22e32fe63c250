"""The manifests in deploy/kubernetes."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from producer.api.server import STOP_SECONDS
from push_queue.settings import ENV_PREFIX, Settings

FOLDER = Path(__file__).parents[3] / "deploy/kubernetes"
OLDEST, NEWEST = "1.29", "1.37"
CUSTOM = {"ScaledObject", "PodMonitor", "ServiceMonitor"}
"""Kinds of KEDA and the Prometheus operator, which Kubernetes has no schema for."""
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))
MANIFESTS = sorted(set(FOLDER.rglob("*.yaml")) - set(KUSTOMIZATIONS))
HAND_BACK_SECONDS = 15
OLDEST_KUSTOMIZE = 5


@cache
def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


OBJECTS = [document for path in MANIFESTS for document in documents(path)]
PODS = [
    pytest.param(document["spec"]["template"]["spec"], id=document["metadata"]["name"])
    for document in OBJECTS
    if document["kind"] in ("Deployment", "StatefulSet")
]


def named(kind: str, name: str) -> dict[str, Any]:
    [found] = [
        document
        for document in OBJECTS
        if document["kind"] == kind and document["metadata"]["name"] == name
    ]
    return found


def pod_of(name: str) -> dict[str, Any]:
    pod = named("Deployment", name)["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod


def variables(name: str) -> dict[str, str]:
    return {item["name"]: item["value"] for item in pod_of(name)["containers"][0]["env"]}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_accepts_them(path: Path, version: str) -> None:
    for document in documents(path):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_lists_all_files_beside_it(path: Path) -> None:
    [document] = documents(path)
    listed = {(path.parent / name).resolve() for name in document["resources"]}
    assert all(entry.exists() for entry in listed)
    assert {entry for entry in listed if entry.is_file()} == {
        entry for entry in MANIFESTS if entry.parent == path.parent
    }


def kustomize_version() -> int:
    """The first number of that of kubectl; 0 where there is none."""
    if not shutil.which("kubectl"):
        return 0
    command = ["kubectl", "version", "--client", "--output", "json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r'"kustomizeVersion": "v(\d+)', told)
    return int(found[1]) if found else 0


needs_kustomize = pytest.mark.skipif(
    kustomize_version() < OLDEST_KUSTOMIZE, reason="there is no kubectl with kustomize 5"
)


@needs_kustomize
@pytest.mark.parametrize("name", ["base", "trial"])
def test_kustomize_builds_it(name: str) -> None:
    built = build(FOLDER / name)
    settings = [item["metadata"]["name"] for item in built if item["kind"] == "ConfigMap"]
    for document in built:
        if document["kind"] == "Deployment":
            container = document["spec"]["template"]["spec"]["containers"][0]
            assert [source["configMapRef"]["name"] for source in container["envFrom"]] == settings


@needs_kustomize
def test_kustomize_builds_it_with_all_components(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    (tmp_path / "all").mkdir()
    names = sorted(path.name for path in (FOLDER / "components").iterdir())
    (tmp_path / "all/kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["../kubernetes/trial"],
                "components": [f"../kubernetes/components/{name}" for name in names],
            }
        )
    )
    deployments = {
        document["metadata"]["name"]: document["spec"]
        for document in build(tmp_path / "all")
        if document["kind"] == "Deployment"
    }
    assert "replicas" not in deployments["push-queue-worker"]  # KEDA's
    for spec in deployments.values():
        mounts = spec["template"]["spec"]["containers"][0]["volumeMounts"]
        assert "/spool" in [mount["mountPath"] for mount in mounts]


def build(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_keeps_to_the_restricted_standard(pod: dict[str, Any]) -> None:
    """Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("pod", PODS)
def test_a_container_says_what_it_needs(pod: dict[str, Any]) -> None:
    for container in pod["containers"]:
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}
        assert container["livenessProbe"]


def test_a_worker_has_more_time_to_stop_than_its_grace_period() -> None:
    lines = (FOLDER / "base/settings.env").read_text().split()
    settings = dict(line.split("=", 1) for line in lines)
    grace = int(settings["PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS"])
    pod = pod_of("push-queue-worker")
    assert pod["terminationGracePeriodSeconds"] >= grace + HAND_BACK_SECONDS


def test_the_api_has_time_to_answer_requests_under_way() -> None:
    pod = pod_of("push-queue-api")
    _, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + STOP_SECONDS


def test_a_worker_is_asked_about_its_own_file() -> None:
    container = pod_of("push-queue-worker")["containers"][0]
    assert variables("push-queue-worker")["PUSH_QUEUE_ALIVE_FILE"].startswith("/tmp/")
    for probe in ("startupProbe", "livenessProbe"):
        assert "$PUSH_QUEUE_ALIVE_FILE" in container[probe]["exec"]["command"][-1]


@pytest.mark.parametrize("name", ["push-queue-worker", "push-queue-api"])
def test_the_settings_that_they_name_exist(name: str) -> None:
    lines = (FOLDER / "base/settings.env").read_text().split()
    given = {line.partition("=")[0] for line in lines} | variables(name).keys()
    ours = {variable for variable in given if variable.startswith(ENV_PREFIX)}
    assert ours <= {ENV_PREFIX + field.upper() for field in Settings.model_fields}


@pytest.mark.parametrize("name", ["push-queue-worker", "push-queue-api"])
def test_secrets_come_by_reference(name: str) -> None:
    pod = pod_of(name)
    assert not {"PUSH_QUEUE_REDIS_URL", "PUSH_QUEUE_API_TOKENS"} & variables(name).keys()
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    sources = [source["secret"]["name"] for source in volume["projected"]["sources"]]
    assert sources[0] == "push-queue-redis"
    assert {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True} in pod["containers"][
        0
    ]["volumeMounts"]


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "NetworkPolicy"])
@pytest.mark.parametrize("name", ["push-queue-worker", "push-queue-api"])
def test_each_deployment_has_one(kind: str, name: str) -> None:
    spec = named(kind, name)["spec"]
    selector = spec["selector" if kind == "PodDisruptionBudget" else "podSelector"]
    labels = named("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    assert selector["matchLabels"] == labels


def test_keda_asks_for_metrics_that_there_are() -> None:
    documented = (FOLDER.parents[1] / "docs/reference/metrics.md").read_text()
    triggers = named("ScaledObject", "push-queue-worker")["spec"]["triggers"]
    asked = {
        word.strip("()")
        for trigger in triggers
        for word in trigger["metadata"]["query"].split()
        if "push_queue" in word
    }
    assert len(asked) == 3
    for metric in asked:
        assert f"`{metric.rpartition('(')[2]}`" in documented


def test_keda_knows_how_many_jobs_a_worker_runs() -> None:
    [jobs, _] = named("ScaledObject", "push-queue-worker")["spec"]["triggers"]
    assert int(jobs["metadata"]["threshold"]) == Settings.model_fields["max_jobs"].default
