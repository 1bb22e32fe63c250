"""`inspect_docker_tar` and `get_tar_manifest`: what a tar holds, without a registry."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import (
    ArchiveDigestError,
    ImageArchive,
    ImageInspect,
    TarReadError,
    ValidationError,
    get_tar_manifest,
    inspect_docker_tar,
)
from tests.support.broken_images import BROKEN
from tests.support.images import (
    APP_LAYER,
    ARCHIVES,
    BASE_LAYER,
    OCI_LAYOUT,
    Member,
    docker_legacy,
    make_image,
    sha256_digest,
    tar_bytes,
    to_json,
    write_archive,
)


def inspect(tmp_path: Path, **config: Any) -> ImageInspect:
    archive = write_archive(tmp_path / "image.tar", docker_legacy, make_image(**config))
    return inspect_docker_tar(archive.path)


@pytest.mark.parametrize("kind", ARCHIVES)
def test_describes_every_kind_of_image_tar(kind: str, tmp_path: Path) -> None:
    archive = ARCHIVES[kind](tmp_path)
    described = inspect_docker_tar(archive.path)
    assert described.id == sha256_digest(archive.image.config)
    assert described.repo_tags == list(archive.image.tags)
    assert (described.architecture, described.os) == ("amd64", "linux")
    assert len(described.layers) == len(archive.image.layers)


def test_describes_the_config(tmp_path: Path) -> None:
    runtime = {
        "Cmd": ["serve"],
        "Entrypoint": ["/bin/app"],
        "Env": ["A=1"],
        "User": "app",
        "WorkingDir": "/srv",
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"team": "x"},
    }
    described = inspect(tmp_path, architecture="arm64", author="Ann", config=runtime)
    config = described.config
    assert described.architecture == config.architecture == "arm64"
    assert described.author == "Ann"
    assert described.created == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (config.cmd, config.entrypoint, config.env) == (["serve"], ["/bin/app"], ["A=1"])
    assert (config.user, config.working_dir) == ("app", "/srv")
    assert config.exposed_ports == {"80/tcp": {}}
    assert config.labels == {"team": "x"}


def test_null_sections_are_empty_ones(tmp_path: Path) -> None:
    described = inspect(tmp_path, config={"Cmd": None, "Env": None, "Labels": None}, created=None)
    assert (described.config.cmd, described.config.env, described.config.labels) == ([], [], {})
    assert described.created is None


def test_layers_have_digest_size_and_history(tmp_path: Path) -> None:
    described = inspect(tmp_path)
    assert [layer.digest for layer in described.layers] == described.rootfs_layers
    assert described.rootfs_layers == [sha256_digest(BASE_LAYER), sha256_digest(APP_LAYER)]
    assert [layer.size for layer in described.layers] == [len(BASE_LAYER), len(APP_LAYER)]
    assert [layer.created_by for layer in described.layers] == ["layer 0", "layer 1"]


def test_history_without_a_layer_is_left_out(tmp_path: Path) -> None:
    history = [
        {"created_by": "base"},
        {"created_by": "ENV", "empty_layer": True},
        {"created_by": "app"},
    ]
    described = inspect(tmp_path, history=history)
    assert [layer.created_by for layer in described.layers] == ["base", "app"]


def test_size_is_that_of_config_and_stored_layers(tmp_path: Path) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    image = archive.image
    expected = len(image.config) + sum(map(len, image.layers))
    assert inspect_docker_tar(archive.path).size == expected


def test_a_config_with_wrong_types_names_the_field(tmp_path: Path) -> None:
    with pytest.raises(TarReadError, match="architecture"):
        inspect(tmp_path, architecture=["amd64"])


@pytest.mark.parametrize("created", [{"not": "a date"}, "yesterday", "", True])
def test_a_date_that_is_none_is_left_out(created: object, tmp_path: Path) -> None:
    history = [{"created": created, "created_by": "base"}, {"created_by": "app"}]
    described = inspect(tmp_path, created=created, history=history)
    assert (described.created, described.layers[0].created) == (None, None)
    assert described.layers[0].created_by == "base"


def test_the_tar_s_manifest_is_docker_s(tmp_path: Path) -> None:
    archive = ARCHIVES["docker-legacy-linked-layer"](tmp_path)
    (entry,) = get_tar_manifest(archive.path)
    assert entry["RepoTags"] == ["example/app:1.0"]
    assert entry["Config"] == f"{sha256_digest(archive.image.config).removeprefix('sha256:')}.json"
    assert [name.rpartition("/")[2] for name in entry["Layers"]] == ["layer.tar"] * 3


def test_an_oci_layout_has_no_docker_manifest(tmp_path: Path) -> None:
    with pytest.raises(TarReadError, match=r"manifest\.json"):
        get_tar_manifest(OCI_LAYOUT(tmp_path).path)


def made_up(directory: Path, config: dict[str, Any]) -> Path:
    """A tar whose names are digests of nothing in it, as scripts make them up for a test."""
    name, layer = f"blobs/sha256/{'a' * 64}", f"blobs/sha256/{'b' * 64}"
    entry = {"Config": name, "RepoTags": ["test:latest"], "Layers": [layer]}
    members = [
        Member("manifest.json", to_json([entry])),
        Member(name, to_json(config)),
        Member(layer, b"no tar"),
    ]
    path = directory / "made-up.tar"
    path.write_bytes(tar_bytes(members))
    return path


@pytest.mark.parametrize(
    ("rootfs", "diff_ids"),
    [
        ({}, []),
        ({"rootfs": {"type": "layers", "diff_ids": ["sha256:layer1"]}}, ["sha256:layer1"]),
        ({"rootfs": {"type": "layers", "diff_ids": ["x", "y"]}}, ["x", "y"]),
    ],
)
def test_digests_that_do_not_hold_are_described(
    rootfs: dict[str, Any], diff_ids: list[str], tmp_path: Path
) -> None:
    path = made_up(tmp_path, {"architecture": "amd64", "os": "linux", **rootfs})
    described = inspect_docker_tar(path)
    assert (described.repo_tags, described.architecture) == (["test:latest"], "amd64")
    assert described.rootfs_layers == diff_ids
    assert [layer.size for layer in described.layers] == [len(b"no tar")]
    with pytest.raises(ArchiveDigestError):
        ImageArchive(path)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_malformed_tar_is_one_readable_line(kind: str, tmp_path: Path) -> None:
    path = BROKEN[kind](tmp_path)
    for function in (inspect_docker_tar, get_tar_manifest):
        with pytest.raises(TarReadError) as caught:
            function(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [ValidationError, FileNotFoundError])
def test_a_missing_file_does_not_exist(error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error, match="does not exist"):
        inspect_docker_tar(tmp_path / "missing.tar")
