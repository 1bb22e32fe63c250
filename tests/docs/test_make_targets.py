"""What the development guide says of make targets, where they run in no time: a small project."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools import PROGRAMS
from tests.docs.making import make
from tests.docs.pages import ROOT
from tests.support.processes import free_port, require_program

# They need little of servers, but make and pytest, which start slowly.
pytestmark = pytest.mark.integration

TESTS = """
import json
import os
from pathlib import Path
from urllib.request import urlopen

import pytest


def ran(name):
    chosen = {key: os.environ.get(key) for key in ("REGISTRY_URL", "REGISTRY_AVAILABLE")}
    Path(f"{name}.ran").write_text(json.dumps(chosen))


def test_plain():
    ran("plain")


@pytest.mark.integration
def test_servers():
    if os.environ.get("REGISTRY_AVAILABLE") == "true":
        assert urlopen(os.environ["REGISTRY_URL"] + "/v2/").read() == b"{}"
    ran("servers")


@pytest.mark.integration
@pytest.mark.archive_tools
def test_archive_tools():
    ran("archive tools")
"""

BUILT_OR_CACHED = (
    *("build/x", "dist/x", "htmlcov/index.html", ".coverage", ".coverage.1", ".mypy_cache/x"),
    *(".pytest_cache/x", ".ruff_cache/x", ".hypothesis/x", "tests/__pycache__/x"),
)


def answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with this Makefile and what is installed here, and three tests."""
    for name in ("Makefile", "pytest.ini"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_all.py").write_text(TESTS)
    return tmp_path


def run(project: Path, target: str, **environment: str) -> None:
    """Make a target with what is installed already."""
    installed = ("--old-file=.venv/.dev-installed", "--old-file=test-tools")
    chosen = ("PROCESSES=0", f"PYTHON={sys.executable}")
    environment["PYTEST_XDIST_AUTO_NUM_WORKERS"] = "0"
    done = make(project, *installed, *chosen, target, **environment)
    assert done.returncode == 0, done.stdout + done.stderr


def those_that_ran(project: Path) -> set[str]:
    return {path.stem for path in project.glob("*.ran")}


@pytest.mark.parametrize(
    ("target", "tests"),
    [
        ("test-unit", {"plain"}),
        ("test-integration", {"servers"}),
        ("test-cov", {"plain", "servers"}),
    ],
)
def test_a_target_runs_its_tests(project: Path, target: str, tests: set[str]) -> None:
    run(project, target)
    assert those_that_ran(project) == tests
    assert (project / "htmlcov" / "index.html").exists() is (target == "test-cov")


def test_local_test_runs_them_with_a_registry_that_it_stops(project: Path) -> None:
    require_program("docker-registry")
    port = str(free_port())
    run(project, "local-test", REGISTRY_PORT=port)
    assert those_that_ran(project) == {"servers"}
    assert json.loads((project / "servers.ran").read_text()) == {
        "REGISTRY_URL": f"http://localhost:{port}",
        "REGISTRY_AVAILABLE": "true",
    }
    assert not (project / ".run" / f"registry-{port}").exists()


def test_lint_fix_mends_what_lint_finds(project: Path) -> None:
    source = project / "module.py"
    source.write_text("import os\nx = {  'a':1 }\n")
    run(project, "lint-fix")
    assert source.read_text() == 'x = {"a": 1}\n'


@pytest.fixture
def registry_port(project: Path) -> Iterator[str]:
    """Where nothing listens; a registry that is started there is stopped in the end."""
    require_program("docker-registry")
    port = str(free_port())
    yield port
    run(project, "stop-registry", REGISTRY_PORT=port)


def test_clean_stops_the_registry_and_leaves_the_environment(
    project: Path, registry_port: str
) -> None:
    for name in BUILT_OR_CACHED:
        path = project / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    run(project, "start-registry", REGISTRY_PORT=registry_port)
    assert answers(registry_port)
    assert (project / ".run" / f"registry-{registry_port}" / "log").exists()
    run(project, "clean", REGISTRY_PORT=registry_port)
    assert not answers(registry_port)
    left = {str(path.relative_to(project)) for path in project.iterdir()}
    assert left == {".venv", "Makefile", "pyproject.toml", "pytest.ini", "scripts", "tests"}
    assert [path.name for path in (project / "tests").iterdir()] == ["test_all.py"]


def make_program(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1"])
def test_a_port_that_is_none_is_one_line(project: Path, port: str) -> None:
    done = make(project, "start-registry", f"PYTHON={sys.executable}", REGISTRY_PORT=port)
    said = f"registry: REGISTRY_PORT has to be a number from 1 to 65535, not {port}"
    assert done.stderr.splitlines()[:-1] == [said]


def test_a_registry_that_ends_at_once_says_why(project: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    make_program(programs, "docker", "exit 1")
    said = r'time="1" level=warning msg="No secret"\ntime="2" level=fatal msg="listen: denied" '
    make_program(programs, "docker-registry", f"printf '{said}' >&2; exit 1")
    done = make(
        project,
        "start-registry",
        f"PYTHON={sys.executable}",
        PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        REGISTRY_PORT=str(free_port()),
    )
    assert done.stderr.splitlines()[:-1] == ["registry: listen: denied"]


def test_tools_that_cannot_be_installed_are_named(project: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    done = make(project, "test-tools", f"PYTHON={sys.executable}", PATH=str(nothing))
    names = " ".join(PROGRAMS)
    assert done.stderr.splitlines()[:-1] == [
        f"tools: not installed: {names}",
        f"  Debian, Ubuntu: sudo apt-get install {names}",
    ]
