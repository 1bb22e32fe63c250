"""What the development guide promises beside its blocks: make targets, files, variables, keys."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from registry_api_v2_client import get_image_info, list_repositories, push_docker_tar
from scripts.tools import PROGRAMS
from tests.docs.blocks import FRESH_CLONE, blocks
from tests.docs.making import make, pytest_here
from tests.docs.pages import DOCS, ROOT
from tests.support.images import ARCHIVES
from tests.support.processes import free_port
from tests.support.servers import Registry

GUIDE = (DOCS / "development-guide.md").read_text()
NAMED_TARGETS = sorted(set(re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z][a-z-]+)", GUIDE)) - {"and"})
TARGETS_OF_SCRIPTS = (
    *("check", "clean", "dev-install", "lint", "lint-fix", "local-test", "start-registry-compose"),
    *("stop-registry-compose", "test-cov", "test-integration", "test-unit", "typecheck"),
)
"""Those that scripts and habits of the first guide rely on."""

RUN_BY_TESTS = {"clean", "lint-fix", "start-registry", "stop-registry"}
"""In a small project: test_make_targets.py."""

PUSHES = "tests/integration/test_guide.py::test_tag_preservation"

RECORDING_DOCKER = '#!/bin/sh\necho "$*" >>"$DOCKER_CALLS"\n'


def described_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("target", TARGETS_OF_SCRIPTS)
def test_targets_that_scripts_rely_on_are_described(target: str) -> None:
    assert target in described_targets()


def test_every_target_that_is_named_exists() -> None:
    assert len(NAMED_TARGETS) > 12
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(NAMED_TARGETS) <= known


def test_the_programs_of_the_integration_tests_are_named() -> None:
    (text,) = re.findall(r"The integration tests need (.*?)\. ", GUIDE, re.DOTALL)
    assert re.findall(r"`([\w-]+)`", text) == [programs[0] for programs in PROGRAMS.values()]


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"\b(tests/[\w/]+\.py)(?:::(\w+))?", GUIDE)
    assert named
    for path, function in named:
        assert f"def {function}" in (ROOT / path).read_text()


@pytest.mark.parametrize("port", ["15000", "15001"])
def test_the_port_is_15000_unless_another_is_chosen(port: str) -> None:
    chosen = {} if port == "15000" else {"REGISTRY_PORT": port}
    shown = make(ROOT, "--eval", "shown: ; @echo $$REGISTRY_PORT $$REGISTRY_URL", "shown", **chosen)
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
        done = make(ROOT, target, f"PYTHON={sys.executable}", **environment)
        assert done.returncode == 0, done.stderr
    asked = calls.read_text().splitlines()
    assert "compose up --detach registry" in asked
    assert asked[-1] == "compose stop registry"


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


# What no test runs as it stands, since it makes an environment ----------------------------------


def in_a_fresh_clone() -> list[str]:
    """The commands of the blocks that are only run there."""
    document = DOCS / "development-guide.md"
    return [
        line.partition("  #")[0].strip()
        for block in blocks(document)
        if block.comment == FRESH_CLONE
        for line in block.text.splitlines()
    ]


def recipes(targets: Iterable[str]) -> set[str]:
    """What make would run for them where nothing is made yet."""
    shown = make(ROOT, "--dry-run", "--always-make", *targets)
    assert shown.returncode == 0, shown.stderr
    return {line for line in shown.stdout.splitlines() if not line.startswith("make: ")}


def test_ci_runs_the_targets_that_no_test_runs() -> None:
    named = {target for command in in_a_fresh_clone() for target in targets_of(command)}
    assert len(named) > 6
    ci = (ROOT / ".ci" / "run").read_text()
    by_ci = {target for line in ci.splitlines() for target in targets_of(line.strip())}
    assert recipes(named - RUN_BY_TESTS) <= recipes(by_ci)


def targets_of(command: str) -> set[str]:
    program, *arguments = shlex.split(command, comments=True) or [""]
    return {word for word in arguments if "=" not in word} if program == "make" else set()


@pytest.mark.integration
def test_pytest_finds_the_tests_of_its_commands() -> None:
    commands = [re.fullmatch(r"(?:\.venv/bin/|uv run )pytest (.+)", c) for c in in_a_fresh_clone()]
    arguments = {word for found in commands if found for word in found[1].split()}
    assert len(arguments) > 5
    collected = pytest_here("--collect-only", *arguments)
    assert collected.returncode == 0, collected.stdout


# Variables --------------------------------------------------------------------------------------


@pytest.mark.integration
def test_tests_use_a_registry_that_is_available(start_registry: Callable[..., Registry]) -> None:
    registry = start_registry()
    done = pytest_here(PUSHES, REGISTRY_AVAILABLE="true", REGISTRY_URL=registry.url)
    assert done.returncode == 0, done.stdout
    assert len(asyncio.run(list_repositories(registry.url))) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    ("ci", "status", "outcome"), [({}, 0, "1 skipped"), ({"CI": "true"}, 1, "1 error")]
)
def test_a_test_whose_server_is_missing(ci: dict[str, str], status: int, outcome: str) -> None:
    url = f"http://localhost:{free_port()}"
    done = pytest_here(PUSHES, REGISTRY_AVAILABLE="true", REGISTRY_URL=url, **ci)
    assert (done.returncode, f"{url} does not answer" in done.stdout) == (status, True)
    assert outcome in done.stdout
