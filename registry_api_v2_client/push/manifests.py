"""The manifests of what is pushed: the archive's own if nothing changed, or else new ones."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..archive.model import ArchiveImage, ArchiveIndex, CarriedManifest, IndexEntry, Layer
from ..descriptors import BlobInfo, sha256
from ..media_types import (
    DOCKER,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    FOREIGN_LAYERS,
    IMAGE_CONFIGS,
    OCI,
    OCI_INDEX,
    Compression,
    ManifestFormat,
)


@dataclass(frozen=True)
class BuiltManifest:
    """A manifest ready to be sent."""

    raw: bytes
    media_type: str

    @classmethod
    def carried(cls, manifest: CarriedManifest) -> "BuiltManifest":
        return cls(manifest.raw, manifest.media_type)

    @classmethod
    def of(cls, document: Mapping[str, Any], media_type: str) -> "BuiltManifest":
        """A new one. The same document always gives the same bytes."""
        document = {"schemaVersion": 2, **document, "mediaType": media_type}
        return cls(json.dumps(document, separators=(",", ":")).encode(), media_type)

    @cached_property
    def digest(self) -> str:
        return sha256(self.raw)

    def descriptor(self) -> dict[str, Any]:
        """Its descriptor, without platform and annotations."""
        return BlobInfo(self.digest, len(self.raw), self.media_type).as_document()


def manifest_format(image: ArchiveImage, compressions: Iterable[Compression]) -> ManifestFormat:
    """The image's own family of media types, or docker's if it has no manifest.

    ``compressions`` are those of the pushed layers: docker's family has no zstd.
    """
    if Compression.ZSTD in compressions:
        return OCI
    return OCI if image.manifest and image.manifest.media_type == OCI.manifest else DOCKER


def layer_type(layer: Layer, family: ManifestFormat, compression: Compression) -> str:
    """The media type of a layer as pushed. What is not a layer's tar keeps its own."""
    if layer.is_tar:
        return family.layers[compression]
    named = str((layer.descriptor or {}).get("mediaType"))
    return family.foreign[FOREIGN_LAYERS[named]] if named in FOREIGN_LAYERS else named


def build_manifest(
    image: ArchiveImage, family: ManifestFormat, layers: Sequence[Mapping[str, Any]]
) -> BuiltManifest:
    """A new manifest. The pushed ``layers`` override the descriptors that were carried."""
    carried = image.manifest.document if image.manifest else {}
    config_type = family.config if image.config_type in IMAGE_CONFIGS else image.config_type
    config = BlobInfo(image.config_digest, len(image.config), config_type).as_document()
    document = {
        **carried,
        "config": {**carried.get("config", {}), **config},
        "layers": [
            {**(layer.descriptor or {}), **pushed}
            for layer, pushed in zip(image.layers, layers, strict=True)
        ],
    }
    return BuiltManifest.of(document, family.manifest)


def build_index(
    index: ArchiveIndex, entries: Sequence[tuple[IndexEntry, BuiltManifest]]
) -> BuiltManifest:
    """A new index of these manifests, with the platform and annotations of each entry."""
    descriptors = [{**entry.descriptor, **built.descriptor()} for entry, built in entries]
    # Docker's list cannot name OCI manifests, and an image with zstd layers has one.
    docker = all(built.media_type == DOCKER_MANIFEST for _, built in entries)
    media_type = DOCKER_MANIFEST_LIST if docker else OCI_INDEX
    return BuiltManifest.of({**index.manifest.document, "manifests": descriptors}, media_type)
