"""Small, deterministic image archives on disk, of every shape that tools write.

An `Image` is what an archive is about: layer contents, config, tags. A layout turns images into the
members of a tar, `write_archive` puts members on disk, and `ARCHIVES` names every combination that
a push has to support. `Archive` keeps what a test needs to check the result.
"""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

DEFAULT_TAG = "example/app:1.0"


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_digest(data: bytes) -> str:
    return f"sha256:{sha256_hex(data)}"


def to_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Image:
    """One image: uncompressed layer contents, config document, tags."""

    layers: tuple[bytes, ...]
    config: bytes
    tags: tuple[str, ...] = (DEFAULT_TAG,)

    @property
    def diff_ids(self) -> list[str]:
        return [sha256_digest(layer) for layer in self.layers]


@dataclass(frozen=True)
class Archive:
    """An archive on disk and the images in it.

    `manifest` is the image manifest that the archive carries, byte for byte, if it carries one.
    """

    path: Path
    images: tuple[Image, ...]
    manifest: bytes | None = None

    @property
    def image(self) -> Image:
        return self.images[0]

    @property
    def tags(self) -> list[str]:
        return [tag for image in self.images for tag in image.tags]


@dataclass(frozen=True)
class Member:
    """One tar member: a file, a directory (name ends with a slash) or a symbolic link."""

    name: str
    data: bytes = b""
    link: str | None = None


Compress = Callable[[bytes], bytes]  # `bytes` itself leaves them as they are
Layout = Callable[[tuple[Image, ...]], list[Member]]
ArchiveBuilder = Callable[[Path], Archive]


# Images ------------------------------------------------------------------------------------------


def layer_tar(files: dict[str, bytes]) -> bytes:
    """An uncompressed layer holding the given files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


BASE_LAYER = layer_tar(
    {
        "etc/os-release": b'NAME="Example"\nVERSION_ID="1"\n',
        "usr/share/words": b"".join(b"word number %d\n" % n for n in range(4000)),
    }
)
APP_LAYER = layer_tar({"app/data.bin": random.Random(1).randbytes(70_000)})


def make_image(
    *layers: bytes,
    tags: tuple[str, ...] = (DEFAULT_TAG,),
    diff_ids: bool = True,
    **config: Any,
) -> Image:
    """An image of the given layers (a base and an application layer if none is given)."""
    layers = layers or (BASE_LAYER, APP_LAYER)
    document: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/app"]},
        "history": [{"created_by": f"layer {n}"} for n in range(len(layers))],
        **config,
    }
    if diff_ids:
        document["rootfs"] = {"type": "layers", "diff_ids": [sha256_digest(x) for x in layers]}
    return Image(layers, to_json(document), tags)


# Layouts -----------------------------------------------------------------------------------------


def save_manifest(images: Iterable[tuple[Image, str, list[str]]]) -> Member:
    """`manifest.json` as docker save writes it: per image its config and layer member names."""
    entries = [
        {"Config": config, "RepoTags": list(image.tags) or None, "Layers": layers}
        for image, config, layers in images
    ]
    return Member("manifest.json", to_json(entries))


def docker_legacy(images: tuple[Image, ...]) -> list[Member]:
    """docker save up to Docker 24: a directory a layer; a layer seen before becomes a link."""
    members: list[Member] = []
    entries: list[tuple[Image, str, list[str]]] = []
    repositories: dict[str, dict[str, str]] = {}
    first_path: dict[bytes, str] = {}
    for image in images:
        parent = ""
        paths: list[str] = []
        for layer in image.layers:
            layer_id = sha256_hex(parent.encode() + sha256_hex(layer).encode())
            path = f"{layer_id}/layer.tar"
            members += [
                Member(f"{layer_id}/"),
                Member(f"{layer_id}/VERSION", b"1.0"),
                Member(f"{layer_id}/json", to_json({"id": layer_id, "parent": parent})),
                Member(path, link=f"../{first_path[layer]}")
                if layer in first_path
                else Member(path, layer),
            ]
            first_path.setdefault(layer, path)
            paths.append(path)
            parent = layer_id
        config_name = f"{sha256_hex(image.config)}.json"
        members.append(Member(config_name, image.config))
        entries.append((image, config_name, paths))
        for reference in image.tags:
            repository, _, tag = reference.rpartition(":")
            repositories.setdefault(repository, {})[tag] = parent
    unique = list(dict.fromkeys(members))
    return [*unique, save_manifest(entries), Member("repositories", to_json(repositories))]


def named_layers(
    images: tuple[Image, ...],
    name: Callable[[int, bytes], str],
    compress: Compress = bytes,
    config: Callable[[bytes], str] = sha256_digest,
) -> list[Member]:
    """manifest.json, and members under names of the caller's choice, as bazel and jib do."""
    members: list[Member] = []
    entries: list[tuple[Image, str, list[str]]] = []
    for image in images:
        stored = [compress(layer) for layer in image.layers]
        paths = [name(number, data) for number, data in enumerate(stored)]
        config_name = config(image.config)
        members.append(Member(config_name, image.config))
        members += [Member(path, data) for path, data in zip(paths, stored, strict=True)]
        entries.append((image, config_name, paths))
    return [save_manifest(entries), *dict.fromkeys(members)]


def podman_save(images: tuple[Image, ...]) -> list[Member]:
    """podman, buildah and skopeo: layers by diff_id, and docker's old folders as links to them."""
    files: list[Member] = []
    entries: list[tuple[Image, str, list[str]]] = []
    for image in images:
        names = [f"{sha256_hex(layer)}.tar" for layer in image.layers]
        files += [Member(name, data) for name, data in zip(names, image.layers, strict=True)]
        for number, name in enumerate(names):
            folder = sha256_hex(f"{number} {name}".encode())
            files += [Member(f"{folder}/VERSION", b"1.0"), Member(f"{folder}/json", b"{}")]
            files.append(Member(f"{folder}/layer.tar", link=f"../{name}"))
        config = f"{sha256_hex(image.config)}.json"
        files.append(Member(config, image.config))
        entries.append((image, config, names))
    return [*dict.fromkeys(files), save_manifest(entries)]


def blob_path(data: bytes) -> str:
    return f"blobs/sha256/{sha256_hex(data)}"


def descriptor(media_type: str, data: bytes, **extra: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256_digest(data), "size": len(data), **extra}


def oci_manifest(image: Image, compress: Compress, layer_type: str) -> bytes:
    return to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, image.config),
            "layers": [descriptor(layer_type, compress(layer)) for layer in image.layers],
        }
    )


def oci_blobs(
    images: tuple[Image, ...],
    *,
    compress: Compress = bytes,
    layer_type: str = OCI_LAYER,
    docker_manifest: bool = True,
) -> list[Member]:
    """An OCI layout; with `docker_manifest` also manifest.json, as Docker 25 and later save it."""
    blobs: list[bytes] = []
    descriptors: list[dict[str, Any]] = []
    entries: list[tuple[Image, str, list[str]]] = []
    for image in images:
        stored = [compress(layer) for layer in image.layers]
        manifest = oci_manifest(image, compress, layer_type)
        blobs += [*stored, image.config, manifest]
        entries.append((image, blob_path(image.config), [blob_path(data) for data in stored]))
        descriptors += [
            descriptor(
                OCI_MANIFEST,
                manifest,
                annotations={
                    "io.containerd.image.name": f"docker.io/{reference}",
                    "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
                },
            )
            for reference in image.tags
        ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
    return [
        Member("blobs/"),
        Member("blobs/sha256/"),
        *(Member(blob_path(data), data) for data in dict.fromkeys(blobs)),
        Member("index.json", to_json(index)),
        *([save_manifest(entries)] if docker_manifest else []),
        Member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
    ]


def guide(images: tuple[Image, ...]) -> list[Member]:
    """The shape of the development guide's generator: blob names, but no OCI index or layout."""
    (image,) = images
    entry = (image, blob_path(image.config), [blob_path(layer) for layer in image.layers])
    blobs = (image.config, *image.layers)
    return [save_manifest([entry]), *(Member(blob_path(data), data) for data in blobs)]


# Writing -----------------------------------------------------------------------------------------


def tar_info(member: Member) -> tarfile.TarInfo:
    info = tarfile.TarInfo(member.name)
    if member.link is not None:
        info.type = tarfile.SYMTYPE
        info.linkname = member.link
    elif member.name.endswith("/"):
        info.type = tarfile.DIRTYPE
        info.mode = 0o755
    else:
        info.size = len(member.data)
    return info


def tar_bytes(members: Iterable[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(tar_info(member), io.BytesIO(member.data))
    return buffer.getvalue()


gzip_bytes: Compress = partial(gzip.compress, compresslevel=6, mtime=0)


def zstd_bytes(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def carried_manifest(members: Iterable[Member]) -> bytes | None:
    """The manifest that the first entry of the archive's index.json points at."""
    by_name = {member.name: member.data for member in members}
    if "index.json" not in by_name:
        return None
    digest = json.loads(by_name["index.json"])["manifests"][0]["digest"]
    return by_name[f"blobs/sha256/{digest.removeprefix('sha256:')}"]


def write_archive(
    path: Path,
    layout: Layout,
    *images: Image,
    compress: Compress = bytes,
) -> Archive:
    """Write the images in the given layout; `compress` packs the file as a whole."""
    members = layout(images)
    path.write_bytes(compress(tar_bytes(members)))
    return Archive(path, images, carried_manifest(members))


def builder(
    layout: Layout,
    *images: Image,
    compress: Compress = bytes,
) -> ArchiveBuilder:
    """A function that writes such an archive as `image.tar` in a directory."""

    def build(directory: Path) -> Archive:
        return write_archive(directory / "image.tar", layout, *images, compress=compress)

    return build


containerd = partial(oci_blobs, compress=gzip_bytes, layer_type=f"{OCI_LAYER}+gzip")
oci_layout = partial(containerd, docker_manifest=False)
zstd_layers = partial(oci_blobs, compress=zstd_bytes, layer_type=f"{OCI_LAYER}+zstd")
# go-containerregistry writes all three.
bazel = kaniko = ko = partial(
    named_layers, name=lambda _, data: f"{sha256_hex(data)}.tar.gz", compress=gzip_bytes
)
jib = partial(bazel, config=lambda _: "config.json")
rules_oci = partial(
    named_layers,
    name=lambda _, data: f"blobs/sha256/{sha256_hex(data)}.tar.gz",
    compress=gzip_bytes,
    config=lambda data: f"blobs/sha256/{sha256_hex(data)}",
)
numbered = partial(named_layers, name=lambda number, _: f"layer-{number}/layer.tar")

SECOND_IMAGE = make_image(BASE_LAYER, layer_tar({"app/two": b"2"}), tags=("example/other:2.0",))

# What docker save, its relatives and hand-written generators produce; every entry is a valid image.
ARCHIVES: dict[str, ArchiveBuilder] = {
    "docker-legacy": builder(docker_legacy, make_image()),
    "docker-legacy-linked-layer": builder(
        docker_legacy, make_image(BASE_LAYER, APP_LAYER, BASE_LAYER)
    ),
    "docker-oci": builder(oci_blobs, make_image()),
    "containerd": builder(containerd, make_image()),
    "containerd-zstd-layers": builder(zstd_layers, make_image()),
    "file-gzipped": builder(docker_legacy, make_image(), compress=gzip_bytes),
    "file-zstd": builder(oci_blobs, make_image(), compress=zstd_bytes),
    "bazel": builder(bazel, make_image()),
    "kaniko": builder(kaniko, make_image()),
    "ko": builder(ko, make_image()),
    "jib": builder(jib, make_image()),
    "rules_oci": builder(rules_oci, make_image()),
    "podman": builder(podman_save, make_image()),
    "no-digest-names": builder(numbered, make_image()),
    "no-diff-ids": builder(docker_legacy, make_image(diff_ids=False)),
    "no-claims-at-all": builder(numbered, make_image(diff_ids=False)),
    "same-layer-twice": builder(oci_blobs, make_image(BASE_LAYER, BASE_LAYER)),
    "empty-layer": builder(oci_blobs, make_image(BASE_LAYER, b"")),
    "layer-no-tar": builder(numbered, make_image(b"plain bytes, no tar")),
    "several-tags": builder(
        oci_blobs, make_image(tags=("example/app:1.0", "example/app:latest", "example/copy:1.0"))
    ),
    "no-tags": builder(docker_legacy, make_image(tags=())),
    "guide": builder(guide, make_image(b"test layer content", diff_ids=False)),
}

SEVERAL_IMAGES: ArchiveBuilder = builder(oci_blobs, make_image(), SECOND_IMAGE)
OCI_LAYOUT: ArchiveBuilder = builder(oci_layout, make_image())
