"""Archives that real tools write, pushed and read back.

skopeo is part of CI. podman, buildah and umoci are not: they want namespaces and storage that CI
machines may not give. `make test-archive-tools` installs and runs them.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_api_v2_client import extract_original_tags
from tests.integration.test_archives import platform_index, push
from tests.support.images import OCI_LAYOUT, SEVERAL_IMAGES, layer_tar, make_image
from tests.support.layouts import Layout
from tests.support.processes import require_program
from tests.support.skopeo import raw_manifest, skopeo, skopeo_copy_to_dir

pytestmark = pytest.mark.integration

NAME = "example.com/team/app:1.0"
Run = Callable[..., bytes]


@pytest.fixture
def place(registry_host: str, repository: str) -> str:
    return f"{registry_host}/{repository}"


def copy(source: str, target: str, *options: str) -> None:
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *options, source, target)


def contents(reference: str, directory: Path) -> list[bytes]:
    return skopeo_copy_to_dir(reference, directory).contents


# skopeo


@pytest.mark.parametrize("name", ["", ":app:1", f":{NAME}"])
async def test_skopeo_oci_archive(name: str, tmp_path: Path, place: str) -> None:
    built = OCI_LAYOUT(tmp_path)
    path = tmp_path / "skopeo.tar"
    copy(f"oci-archive:{built.path}", f"oci-archive:{path}{name}")
    await push(path, f"{place}:ours")
    copy(f"oci-archive:{path}{name}", f"docker://{place}:theirs", "--preserve-digests")
    assert raw_manifest(f"{place}:ours") == raw_manifest(f"{place}:theirs")
    assert contents(f"{place}:ours", tmp_path / "back") == list(built.image.layers)


@pytest.mark.parametrize("name", ["", ":app:1", f":{NAME}"])
async def test_skopeo_oci_layout(name: str, tmp_path: Path, place: str) -> None:
    built = OCI_LAYOUT(tmp_path)
    path = tmp_path / "layout"
    copy(f"oci-archive:{built.path}", f"oci:{path}{name}")
    await push(path, f"{place}:ours")
    copy(f"oci:{path}{name}", f"docker://{place}:theirs", "--preserve-digests")
    assert raw_manifest(f"{place}:ours") == raw_manifest(f"{place}:theirs")
    assert contents(f"{place}:ours", tmp_path / "back") == list(built.image.layers)


async def test_skopeo_oci_archive_of_an_index(tmp_path: Path, place: str) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout), "app:1")
    path = tmp_path / "skopeo.tar"
    source = layout.write(tmp_path / "app.tar")
    copy(f"oci-archive:{source}:app:1", f"oci-archive:{path}:app:1", "--all")
    pushed = await push(path, f"{place}:ours")
    assert pushed.digest == index["digest"]
    copy(f"oci-archive:{path}:app:1", f"docker://{place}:theirs", "--all")
    assert raw_manifest(f"{place}:ours") == raw_manifest(f"{place}:theirs")


@pytest.mark.parametrize("position", [0, 1])
async def test_skopeo_docker_archive(position: int, tmp_path: Path, place: str) -> None:
    built = SEVERAL_IMAGES(tmp_path)
    image = built.images[position]
    path = tmp_path / "skopeo.tar"
    copy(f"docker-archive:{built.path}:{image.tags[0]}", f"docker-archive:{path}:{NAME}")
    assert extract_original_tags(path) == [NAME]
    await push(path, f"{place}:1")
    assert contents(f"{place}:1", tmp_path / "back") == list(image.layers)


# Tools that are not part of CI


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a tool with storage of its own."""
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{storage}/run"\ngraphroot = "{storage}/graph"\n'
    )
    (storage / "containers.conf").write_text(
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'tmp_dir = "{storage}/tmp"\nstatic_dir = "{storage}/static"\n'
    )
    (storage / "config.json").write_text("{}")
    environment = {
        **os.environ,
        "CONTAINERS_STORAGE_CONF": str(storage / "storage.conf"),
        "CONTAINERS_CONF": str(storage / "containers.conf"),
        "BUILDAH_ISOLATION": "chroot",
        "DOCKER_CONFIG": str(storage),
    }

    def run(tool: str, *arguments: str) -> bytes:
        argv = [require_program(tool), *arguments]
        done = subprocess.run(
            argv, env=environment, capture_output=True, check=False, timeout=120, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    return run


WORDS = b"a word " * 50_000
FILES = {"words": WORDS, "data": bytes(range(256)) * 400}


def build(run: Run, directory: Path, name: str, *options: str) -> None:
    context = directory / "context"
    context.mkdir(exist_ok=True)
    for file, content in FILES.items():
        (context / file).write_bytes(content)
    steps = ["FROM scratch", *(f"COPY {file} /{file}" for file in FILES)]
    (context / "Dockerfile").write_text("\n".join(steps))
    run("buildah", "build", "--layers", *options, "-t", name, str(context))


def assert_has_files(layers: list[bytes]) -> None:
    """Whether each file is in some layer."""
    assert all(any(content in layer for layer in layers) for content in FILES.values())


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
@pytest.mark.archive_tools
async def test_buildah_push_to_an_archive(form: str, run: Run, tmp_path: Path, place: str) -> None:
    build(run, tmp_path, NAME)
    path = tmp_path / "buildah.tar"
    run("buildah", "push", NAME, f"{form}:{path}:{NAME}")
    assert extract_original_tags(path) == [NAME]
    pushed = await push(path, f"{place}:1")
    assert_has_files(contents(f"{place}:1", tmp_path / "back"))
    if form == "oci-archive":
        copy(f"oci-archive:{path}", f"docker://{place}:theirs", "--preserve-digests")
        assert raw_manifest(f"{place}:theirs") == raw_manifest(f"{place}@{pushed.digest}")


@pytest.mark.archive_tools
async def test_buildah_manifest_push(run: Run, tmp_path: Path, place: str) -> None:
    path = tmp_path / "buildah.tar"
    run("buildah", "manifest", "create", "multi:1")
    for platform in ("linux/amd64", "linux/arm64"):
        name = f"localhost/{platform.replace('/', '-')}"
        build(run, tmp_path, name, "--no-cache", "--platform", platform)
        run("buildah", "manifest", "add", "multi:1", name)
    run("buildah", "manifest", "push", "--all", "multi:1", f"oci-archive:{path}:multi:1")
    await push(path, f"{place}:1")
    entries = json.loads(raw_manifest(f"{place}:1"))["manifests"]
    assert sorted(entry["platform"]["architecture"] for entry in entries) == ["amd64", "arm64"]
    copy(f"oci-archive:{path}:multi:1", f"docker://{place}:theirs", "--all")
    assert raw_manifest(f"{place}:theirs") == raw_manifest(f"{place}:1")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
@pytest.mark.archive_tools
async def test_podman_save(form: str, run: Run, tmp_path: Path, place: str) -> None:
    build(run, tmp_path, NAME)
    path = tmp_path / "podman.tar"
    run("podman", "save", "--format", form, "--output", str(path), NAME)
    assert extract_original_tags(path) == [NAME]
    await push(path, f"{place}:1")
    assert_has_files(contents(f"{place}:1", tmp_path / "back"))


@pytest.mark.archive_tools
async def test_podman_save_of_several_images(run: Run, tmp_path: Path, place: str) -> None:
    build(run, tmp_path, NAME)
    run("podman", "tag", NAME, "example.com/team/copy:2.0")
    path = tmp_path / "podman.tar"
    run("podman", "save", "-m", "-o", str(path), NAME, "example.com/team/copy:2.0")
    assert sorted(extract_original_tags(path)) == [NAME, "example.com/team/copy:2.0"]
    await push(path, f"{place}:1", image="example.com/team/copy:2.0")
    assert_has_files(contents(f"{place}:1", tmp_path / "back"))


@pytest.mark.archive_tools
async def test_umoci_layout(run: Run, tmp_path: Path, place: str) -> None:
    image = Layout()
    image.root(image.image(make_image(layer_tar({"base": b"base"}))), "base")
    oci = tmp_path / "layout"
    copy(f"oci-archive:{image.write(tmp_path / 'base.tar')}:base", f"oci:{oci}:base")
    (tmp_path / "file").write_bytes(WORDS)
    run("umoci", "insert", "--image", f"{oci}:base", "--tag", "v1", "file", "/words")
    run("umoci", "tag", "--image", f"{oci}:v1", "alias")
    path = tmp_path / "umoci.tar"
    run("tar", "cf", str(path), "-C", str(oci), ".")
    ours = await push(path, f"{place}:ours", image="alias")
    copy(f"oci:{oci}:v1", f"docker://{place}:theirs", "--preserve-digests")
    assert raw_manifest(f"{place}:theirs") == raw_manifest(f"{place}@{ours.digest}")
    assert any(WORDS in layer for layer in contents(f"{place}:ours", tmp_path / "back"))
