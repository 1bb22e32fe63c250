"""The client and the queue are two distributions of one version, the same bytes wherever built."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from tests.support.processes import require_program

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SOURCES = ("Makefile", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore")
PACKAGES = ("registry_api_v2_client", "push_queue", "producer", "worker")
CLIENT, QUEUE = "registry_api_v2_client", "registry_push_queue"


def copy_sources(folder: Path) -> Path:
    """What distributions are built from, without what a checkout has beside it."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def make_dist(folder: Path, *, changed_at: int, umask: int) -> dict[str, bytes]:
    """Run `make dist` on sources of that Unix time, checked out with that umask."""
    before = os.umask(umask)
    try:
        copy_sources(folder)
    finally:
        os.umask(before)
    for path in folder.rglob("*"):
        if umask & 0o077:
            path.chmod(path.stat().st_mode & ~umask)
        os.utime(path, (changed_at, changed_at))
    installed = f"{sys.prefix}/.runtime-installed"
    command = [
        *(require_program("make"), "--silent", f"--old-file={installed}"),
        *(f"VENV={sys.prefix}", "COMMIT_TIME=1700000000", "dist"),
    ]
    subprocess.run(command, cwd=folder, umask=umask, check=True, timeout=240)
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make dist` fills."""
    folder = tmp_path_factory.mktemp("built") / "checkout"
    make_dist(folder, changed_at=1_600_000_000, umask=0o022)
    return folder / "dist"


def wheel(dist: Path, name: str) -> zipfile.ZipFile:
    [path] = dist.glob(f"{name}-*.whl")
    return zipfile.ZipFile(path)


def sdist(dist: Path, name: str) -> tarfile.TarFile:
    [path] = dist.glob(f"{name}-*.tar.gz")
    return tarfile.open(path)


def metadata(dist: Path, name: str) -> Metadata:
    """The metadata of a wheel; an ExceptionGroup says what an index would refuse."""
    with wheel(dist, name) as archive:
        [file] = (file for file in archive.namelist() if file.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(file), validate=True)


def packages(dist: Path, name: str) -> set[str]:
    with wheel(dist, name) as archive:
        tops = {file.partition("/")[0] for file in archive.namelist()}
    return {top for top in tops if not top.endswith(".dist-info")}


def test_two_builds_make_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in dist.iterdir()}
    second = make_dist(tmp_path / "elsewhere", changed_at=1_650_000_001, umask=0o077)
    assert len(first) == 4
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_no_file_belongs_to_both(dist: Path) -> None:
    """Or else removing or upgrading one of them would break the other."""
    assert packages(dist, CLIENT) == {"registry_api_v2_client"}
    assert packages(dist, QUEUE) == {"push_queue", "producer", "worker"}


def test_the_queue_asks_for_the_client_of_its_version(dist: Path) -> None:
    client, queue = metadata(dist, CLIENT), metadata(dist, QUEUE)
    assert client.version == queue.version
    wanted = {need.name: str(need.specifier) for need in queue.requires_dist or ()}
    assert wanted["registry-api-v2-client"] == f"=={client.version}"
    assert not any(need.url for need in queue.requires_dist or ())


@pytest.mark.parametrize("name", [CLIENT, QUEUE])
def test_metadata_say_what_an_index_shows(dist: Path, name: str) -> None:
    said = metadata(dist, name)
    assert said.license_expression == "MIT"
    assert said.license_files == ["LICENSE"]
    assert said.description_content_type == "text/markdown"
    assert said.description
    assert said.summary


@pytest.mark.parametrize("name", [CLIENT, QUEUE])
def test_everything_that_is_tracked_is_in_the_wheel(dist: Path, name: str) -> None:
    """Scripts, pages, stubs and markers of types as well as modules."""
    needed = {
        path.relative_to(ROOT).as_posix()
        for package in packages(dist, name)
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    own = {f"registry_api_v2_client/{file}" for file in ("pyproject.toml", "README.md", "LICENSE")}
    with wheel(dist, name) as archive:
        files = set(archive.namelist())
    assert needed - own - files == set()
    assert {f"{package}/py.typed" for package in packages(dist, name)} <= files
    assert any(file.endswith(".dist-info/licenses/LICENSE") for file in files)
    assert own & files == set()


@pytest.mark.parametrize("name", [CLIENT, QUEUE])
def test_an_sdist_says_what_its_wheel_does(dist: Path, name: str) -> None:
    with sdist(dist, name) as archive:
        [root] = {member.name.partition("/")[0] for member in archive}
        described = archive.extractfile(f"{root}/PKG-INFO")
        assert described is not None
        said = Metadata.from_email(described.read(), validate=True)
    of_wheel = metadata(dist, name)
    assert (said.version, said.requires_dist) == (of_wheel.version, of_wheel.requires_dist)


def build_in_checkout(folder: Path, command: str, target: Path) -> set[str]:
    """What a wheel requires that pip builds from a checkout."""
    code = f"import hatchling.build; hatchling.build.{command}({str(target)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=120)
    return {str(need) for need in metadata(target, QUEUE).requires_dist or ()}


def test_a_checkout_brings_its_own_client(tmp_path: Path) -> None:
    """So `pip install .` asks no index for a client that may not be there, or be another's."""
    folder = copy_sources(tmp_path / "checkout")
    wanted = build_in_checkout(folder, "build_wheel", tmp_path)
    assert f"registry-api-v2-client@ {(folder / CLIENT).as_uri()}" in {
        need.replace(" @ ", "@ ") for need in wanted
    }


def test_an_editable_install_leads_to_the_client_beside(tmp_path: Path) -> None:
    """So it needs what the client needs, and no copy of it that would hide changes."""
    folder = copy_sources(tmp_path / "checkout")
    wanted = build_in_checkout(folder, "build_editable", tmp_path)
    client = tomllib.loads((folder / CLIENT / "pyproject.toml").read_text())["project"]
    assert set(client["dependencies"]) <= wanted
    assert not any(need.startswith("registry-api-v2-client") for need in wanted)
