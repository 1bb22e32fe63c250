"""Archives that no image can be read from, and one that lies about a layer."""

from collections.abc import Callable
from pathlib import Path

from tests.support.images import (
    APP_LAYER,
    Member,
    blob_path,
    docker_legacy,
    guide,
    gzip_bytes,
    make_image,
    oci_blobs,
    save_manifest,
    tar_bytes,
    to_json,
)

PathBuilder = Callable[[Path], Path]


def edited(edit: Callable[[list[Member]], list[Member]]) -> PathBuilder:
    """A docker save archive (OCI flavour) whose members were tampered with."""

    def build(directory: Path) -> Path:
        path = directory / "broken.tar"
        path.write_bytes(tar_bytes(edit(oci_blobs((make_image(),)))))
        return path

    return build


def with_manifest(data: bytes) -> PathBuilder:
    """manifest.json replaced by the given bytes."""
    remove = without("manifest.json")
    return edited(lambda members: [*remove(members), Member("manifest.json", data)])


def without(name: str) -> Callable[[list[Member]], list[Member]]:
    return lambda members: [member for member in members if member.name != name]


def with_bytes(content: bytes) -> PathBuilder:
    def build(directory: Path) -> Path:
        path = directory / "broken.tar"
        path.write_bytes(content)
        return path

    return build


def missing_file(directory: Path) -> Path:
    return directory / "missing.tar"


def a_directory(directory: Path) -> Path:
    path = directory / "folder.tar"
    path.mkdir()
    return path


_LAYERS_FIRST = tar_bytes(docker_legacy((make_image(),)))
_MANIFEST_FIRST = tar_bytes(guide((make_image(),)))

# Not a file at all.
UNREADABLE: dict[str, PathBuilder] = {"missing": missing_file, "directory": a_directory}

# A file, but no image can be read from it.
BROKEN: dict[str, PathBuilder] = {
    "empty-file": with_bytes(b""),
    "not-a-tar": with_bytes(b"this is no archive\n" * 400),
    "truncated-before-manifest": with_bytes(_LAYERS_FIRST[: len(_LAYERS_FIRST) // 2]),
    "truncated-in-last-layer": with_bytes(_MANIFEST_FIRST[: -len(APP_LAYER) // 2]),
    "truncated-gzip": with_bytes(gzip_bytes(_MANIFEST_FIRST)[:-2000]),
    "no-manifest": edited(lambda _: [Member("readme", b"hello")]),
    "manifest-no-json": with_manifest(b"{not json"),
    "manifest-no-utf8": with_manifest(b'["\xff\xfe"]'),
    "manifest-no-list": with_manifest(b'{"Config": "x"}'),
    "manifest-empty-list": with_manifest(b"[]"),
    "manifest-entry-no-object": with_manifest(b'["x"]'),
    "manifest-entry-empty": with_manifest(b"[{}]"),
    "manifest-layers-no-list": with_manifest(
        to_json([{"Config": blob_path(make_image().config), "RepoTags": None, "Layers": "x"}])
    ),
    "config-missing": edited(without(blob_path(make_image().config))),
    "layer-missing": edited(without(blob_path(APP_LAYER))),
    "link-loop": with_bytes(
        tar_bytes(
            [
                save_manifest([(make_image(APP_LAYER), "config.json", ["a/layer.tar"])]),
                Member("config.json", make_image(APP_LAYER).config),
                Member("a/layer.tar", link="../b/layer.tar"),
                Member("b/layer.tar", link="../a/layer.tar"),
            ]
        )
    ),
}


def _swap_layer(members: list[Member]) -> list[Member]:
    name = blob_path(APP_LAYER)
    flipped = APP_LAYER[:-1] + bytes([APP_LAYER[-1] ^ 1])
    return [Member(name, flipped) if member.name == name else member for member in members]


# The archive reads well; only the layer's bytes tell that the digest it is filed under is wrong.
LYING_DIGEST: PathBuilder = edited(_swap_layer)
