"""manifest.json as the many tools write it: what is known about a layer before it is read."""

import io
import tarfile
from pathlib import Path
from typing import Any, Literal

import pytest

from registry_api_v2_client import ImageArchive, TarReadError
from tests.support.contents import member_of
from tests.support.images import (
    APP_LAYER,
    ARCHIVES,
    BASE_LAYER,
    Image,
    Member,
    gzip_bytes,
    make_image,
    sha256_digest,
    sha256_hex,
    tar_bytes,
    tar_info,
    to_json,
)

GIB = 1 << 30


def saved(directory: Path, image: Image, entry: dict[str, Any], *members: Member) -> Path:
    """An archive with that entry of manifest.json."""
    document = {"Config": "config.json", "RepoTags": list(image.tags), **entry}
    whole = [
        Member("manifest.json", to_json([document])),
        Member("config.json", image.config),
        *members,
    ]
    path = directory / "saved.tar"
    path.write_bytes(tar_bytes(whole))
    return path


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("docker-oci", True),
        ("docker-legacy", True),
        ("podman", True),
        ("bazel", True),
        ("kaniko", True),
        ("ko", True),
        ("jib", False),
        ("rules_oci", True),
        ("no-claims-at-all", False),
    ],
)
def test_which_tools_tell_the_digests_of_layers(kind: str, known: bool, tmp_path: Path) -> None:
    # Where they are not told, every layer is read twice.
    with ImageArchive(ARCHIVES[kind](tmp_path).path) as archive:
        (image,) = archive.images
        assert [bool(layer.digest) for layer in image.images[0].layers] == [known, known]


def test_a_hexadecimal_name_of_another_tool_is_no_digest(tmp_path: Path) -> None:
    name = f"{sha256_hex(b'what it was built from')}.tar.gz"
    image = make_image(APP_LAYER)
    path = saved(tmp_path, image, {"Layers": [name]}, Member(name, gzip_bytes(APP_LAYER)))
    with ImageArchive(path) as archive:
        assert archive.images[0].images[0].layers[0].digest is None


@pytest.mark.parametrize("field", ["Layers", "RepoTags"])
def test_null_stands_for_none(field: str, tmp_path: Path) -> None:
    image = make_image(APP_LAYER)
    if field == "Layers":
        image = Image((), to_json({"os": "linux"}))
    entry = {"Layers": ["layer.tar"], field: None}
    with ImageArchive(saved(tmp_path, image, entry, Member("layer.tar", APP_LAYER))) as archive:
        (read,) = archive.images
        assert len(read.images[0].layers) == len(image.layers)
        assert read.tags == (() if field == "RepoTags" else image.tags)


def test_layers_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(TarReadError, match="Layers is not a list of names"):
        ImageArchive(saved(tmp_path, make_image(APP_LAYER), {}))


FOREIGN = {
    "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "size": 1_681_239_551,
    "digest": sha256_digest(b"a windows base"),
    "urls": ["https://mcr.microsoft.com/v2/windows/blobs/sha256:0"],
}


@pytest.mark.parametrize("held", [True, False])
def test_a_foreign_layer_need_not_be_there(held: bool, tmp_path: Path) -> None:
    image = make_image()
    entry = {
        "Layers": ["base/layer.tar", "app/layer.tar"],
        "LayerSources": {sha256_digest(BASE_LAYER): FOREIGN},
    }
    base = [Member("base/layer.tar", BASE_LAYER)] if held else []
    path = saved(tmp_path, image, entry, *base, Member("app/layer.tar", APP_LAYER))
    with ImageArchive(path) as archive:
        foreign, own = archive.images[0].images[0].layers
        assert foreign.member is None
        assert (foreign.descriptor, foreign.size) == (FOREIGN, FOREIGN["size"])
        assert own.digest == sha256_digest(APP_LAYER)


def test_a_layer_of_the_archive_that_docker_describes_is_no_foreign_one(tmp_path: Path) -> None:
    # Docker 25 and later describe every layer.
    own = {key: value for key, value in FOREIGN.items() if key != "urls"}
    entry = {"Layers": ["layer.tar"], "LayerSources": {sha256_digest(APP_LAYER): own}}
    image = make_image(APP_LAYER)
    with ImageArchive(saved(tmp_path, image, entry, Member("layer.tar", APP_LAYER))) as archive:
        assert archive.images[0].images[0].layers[0].member


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_layer_of_more_than_8_gib(form: Literal[1, 2], tmp_path: Path) -> None:
    # The size no longer fits the header's octal digits. The file has a hole for the layer.
    image = make_image(APP_LAYER, diff_ids=False)
    folder = "a-name-that-is-longer-than-a-header-has-place-for/" * 3
    layer = tarfile.TarInfo(f"{folder}layer.tar")
    layer.size = 9 * GIB + 5
    manifest = [{"Config": "config.json", "RepoTags": None, "Layers": [layer.name]}]
    path = tmp_path / "large.tar"
    with path.open("wb") as file:
        file.write(layer.tobuf(form))
        offset = file.tell()
        file.seek(-(-layer.size // 512) * 512, io.SEEK_CUR)
        with tarfile.open(fileobj=file, mode="w", format=form) as tar:
            for name, data in (("config.json", image.config), ("manifest.json", to_json(manifest))):
                tar.addfile(tar_info(Member(name, data)), io.BytesIO(data))
    with ImageArchive(path) as archive:
        (read,) = archive.images[0].images[0].layers
        member = member_of(read)
        assert (read.size, member.offset) == (layer.size, offset)
        with archive.images[0].tar.open(member) as reader:
            assert reader.readinto(memoryview(bytearray(100))) == 100
