"""Media types of manifests, configs and layers, and how they relate.

Sources: https://github.com/opencontainers/image-spec/blob/main/media-types.md and
https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

from dataclasses import dataclass
from enum import StrEnum

OCTET_STREAM = "application/octet-stream"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

IMAGE_MANIFESTS = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
IMAGE_INDEXES = frozenset({DOCKER_MANIFEST_LIST, OCI_INDEX})
ANY_MANIFEST = (OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_MANIFEST_LIST)


class Compression(StrEnum):
    """How a layer's tar is stored."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_OTHER_COMPRESSIONS = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_MAGIC = {b"\x1f\x8b": Compression.GZIP, b"\x28\xb5\x2f\xfd": Compression.ZSTD}


def sniff_compression(head: bytes) -> Compression:
    """A layer's compression, by its first bytes."""
    return next((c for magic, c in _MAGIC.items() if head.startswith(magic)), Compression.NONE)


def sniff_unsupported(head: bytes) -> str | None:
    """The name of a compression that has no media type, so that no layer may have it."""
    names = _OTHER_COMPRESSIONS.items()
    return next((name for magic, name in names if head.startswith(magic)), None)


@dataclass(frozen=True, slots=True)
class ManifestFormat:
    """One family of media types. A manifest and all that it names are of the same family.

    ``foreign`` layers are those that may not be redistributed: Windows base layers, mostly.
    """

    manifest: str
    config: str
    layers: dict[Compression, str]
    foreign: dict[Compression, str]


DOCKER = ManifestFormat(
    manifest=DOCKER_MANIFEST,
    config="application/vnd.docker.container.image.v1+json",
    layers={
        Compression.NONE: "application/vnd.docker.image.rootfs.diff.tar",
        Compression.GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    },
    foreign={
        Compression.NONE: "application/vnd.docker.image.rootfs.foreign.diff.tar",
        Compression.GZIP: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    },
)
OCI = ManifestFormat(
    manifest=OCI_MANIFEST,
    config="application/vnd.oci.image.config.v1+json",
    layers={
        Compression.NONE: "application/vnd.oci.image.layer.v1.tar",
        Compression.GZIP: "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression.ZSTD: "application/vnd.oci.image.layer.v1.tar+zstd",
    },
    foreign={
        Compression.NONE: "application/vnd.oci.image.layer.nondistributable.v1.tar",
        Compression.GZIP: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        Compression.ZSTD: "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    },
)

IMAGE_CONFIGS = frozenset({DOCKER.config, OCI.config})
"""Configs of images, which list the layers. Other artifacts have configs of their own."""

IMAGE_LAYERS = frozenset({*DOCKER.layers.values(), *OCI.layers.values()})
"""Layers that are tars, with any compression or none."""

LAYER_COMPRESSIONS = {
    media_type: compression
    for family in (DOCKER, OCI)
    for compression, media_type in family.layers.items()
}
"""The compression of each."""

FOREIGN_LAYERS = {
    media_type: compression
    for family in (DOCKER, OCI)
    for compression, media_type in family.foreign.items()
}
