"""What the development guide promises beside its blocks: make targets, files, variables, keys."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from registry_api_v2_client import get_image_info, push_docker_tar
from tests.docs.pages import DOCS, ROOT
from tests.support.images import ARCHIVES
from tests.support.processes import free_port, require_program

GUIDE = (DOCS / "development-guide.md").read_text()
NAMED_TARGETS = sorted(set(re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z][a-z-]+)", GUIDE)) - {"and"})
TARGETS_OF_SCRIPTS = (
    *("check", "clean", "dev-install", "lint", "lint-fix", "local-test", "start-registry-compose"),
    *("stop-registry-compose", "test-cov", "test-integration", "test-unit", "typecheck"),
)
"""Those that scripts and habits of the first guide rely on."""

CHOSEN = ("MAKEFLAGS", "REGISTRY_PORT", "REGISTRY_URL")
"""What `make test` itself sets for this test."""

RECORDING_DOCKER = '#!/bin/sh\necho "$*" >>"$DOCKER_CALLS"\n'


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require_program("make"), "--no-print-directory", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in CHOSEN} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def described_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("target", TARGETS_OF_SCRIPTS)
def test_targets_that_scripts_rely_on_are_described(target: str) -> None:
    assert target in described_targets()


def test_every_target_that_is_named_exists() -> None:
    assert len(NAMED_TARGETS) > 12
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(NAMED_TARGETS) <= known


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"\b(tests/[\w/]+\.py)(?:::(\w+))?", GUIDE)
    assert named
    for path, function in named:
        assert f"def {function}" in (ROOT / path).read_text()


@pytest.mark.parametrize("port", ["15000", "15001"])
def test_the_port_is_15000_unless_another_is_chosen(port: str) -> None:
    chosen = {} if port == "15000" else {"REGISTRY_PORT": port}
    shown = make("--eval", "shown: ; @echo $$REGISTRY_PORT $$REGISTRY_URL", "shown", **chosen)
    assert shown.stdout.split() == [port, f"http://localhost:{port}"]


@pytest.mark.integration
def test_compose_starts_and_stops_the_registry_alone(tmp_path: Path, registry_url: str) -> None:
    docker, calls = tmp_path / "docker", tmp_path / "calls"
    docker.write_text(RECORDING_DOCKER)
    docker.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "DOCKER_CALLS": str(calls),
        "REGISTRY_PORT": registry_url.rpartition(":")[2],
    }
    for target in ("start-registry-compose", "stop-registry-compose"):
        done = make(target, f"PYTHON={sys.executable}", **environment)
        assert done.returncode == 0, done.stderr
    asked = calls.read_text().splitlines()
    assert "compose up --detach registry" in asked
    assert asked[-1] == "compose stop registry"


@pytest.mark.integration
def test_local_test_hands_its_registry_to_the_tests() -> None:
    """`make local-test` runs pytest in place of this shell."""
    require_program("docker-registry")
    port = str(free_port())
    asked = 'curl --silent --fail "$REGISTRY_URL/v2/" && echo " $REGISTRY_URL $REGISTRY_AVAILABLE"'
    done = subprocess.run(
        [sys.executable, "scripts/registry.py", "run", "sh", "-c", asked],
        cwd=ROOT,
        env=os.environ | {"REGISTRY_PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == f"{{}} http://localhost:{port} true", done.stderr


@pytest.mark.integration
def test_the_keys_of_an_image_s_description(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    (text,) = re.findall(r"`get_image_info` has the keys (.*?)\. ", GUIDE, re.DOTALL)
    tar = ARCHIVES["guide"](tmp_path).path

    async def describe() -> dict[str, object]:
        await push_docker_tar(tar, registry_url, repository, "1")
        return await get_image_info(registry_url, repository, "1")

    described = asyncio.run(describe())
    assert re.findall(r"`(\w+)`", text) == list(described)
    assert described["size"] == described["total_size"]
