"""The Makefile's installation on an index that has gained releases since the lists were made."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.support.processes import require_program

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """
[build-system]
requires = ["builder>=1"]
build-backend = "builder"

[project]
name = "sample"
version = "1.0"
"""
# Any build that resolves takes the newest, which cannot build.
BUILDERS = {
    "1.0": """
import shutil

def build_editable(folder, settings=None, metadata=None):
    return shutil.copy("sample-1.0-py3-none-any.whl", folder).rpartition("/")[2]
""",
    "2.0": "raise SystemExit('the newest builder was used')",
}

Make = Callable[[str], subprocess.CompletedProcess[str]]


def write_wheel(
    folder: Path, name: str, version: str, *, metadata: Iterable[str] = (), code: str = ""
) -> str:
    """Write a wheel of one module; its line in a list of requirements."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in files.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in files))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with this Makefile, and beside it an index with a newer release of everything."""
    folder, index = tmp_path / "project", tmp_path / "index"
    lists = folder / "requirements"
    lists.mkdir(parents=True)
    index.mkdir()
    pins = {"library": "", "coverage": "", "builder": ""}
    for version in ("2.0", "1.0"):  # the last written is the one that is pinned
        pins["library"] = write_wheel(index, "library", version)
        pins["coverage"] = write_wheel(
            index, "coverage", version, metadata=["Provides-Extra: toml"]
        )
        pins["builder"] = write_wheel(index, "builder", version, code=BUILDERS[version])
    plugin = write_wheel(index, "plugin", "1.0", metadata=["Requires-Dist: coverage[toml]>=1"])
    write_wheel(folder, "sample", "1.0", metadata=["Requires-Dist: library>=1"])
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").write_text(PROJECT)
    (lists / "build.txt").write_text(pins["builder"])
    (lists / "runtime.txt").write_text(pins["library"])
    (lists / "dev.txt").write_text(pins["coverage"] + plugin)
    return folder


@pytest.fixture
def make(project: Path) -> Make:
    """Make a target of the project, with nothing to install from but the index beside it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(project.with_name("index")),
    }

    def run(target: str) -> subprocess.CompletedProcess[str]:
        command = [require_program("make"), f"PYTHON={sys.executable}", target]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_newer_releases_change_nothing(project: Path, make: Make) -> None:
    done = make("dev-install")
    assert done.returncode == 0, done.stderr
    (packages,) = (project / ".venv" / "lib").glob("python*/site-packages")
    installed = {path.name for path in packages.glob("*.dist-info")}
    names = ("builder", "coverage", "library", "plugin", "sample")
    assert {f"{name}-1.0.dist-info" for name in names} <= installed
    assert not any("-2.0." in name for name in installed)


def test_a_list_that_lacks_something_is_refused(project: Path, make: Make) -> None:
    lacking = project / "requirements" / "dev.txt"
    lacking.write_text(lacking.read_text().partition("\n")[2])
    done = make("dev-install")
    assert done.returncode != 0
    assert "plugin 1.0 requires coverage, which is not installed." in done.stderr
