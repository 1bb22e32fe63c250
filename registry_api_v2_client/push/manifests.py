"""The manifest of a pushed image: the archive's own where nothing changed, else a new one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..archive.image_archive import ArchiveImage, Layer
from ..digests import sha256
from ..media_types import DOCKER, OCI, Compression, ManifestFormat
from ..models import BlobInfo

_KEPT_FIELDS = ("artifactType", "annotations", "subject")


@dataclass(frozen=True, slots=True)
class BuiltManifest:
    """A manifest ready to be sent."""

    raw: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return sha256(self.raw)


def manifest_format(image: ArchiveImage, compressions: Iterable[Compression]) -> ManifestFormat:
    """The image's own family of media types; docker save without a manifest means docker's.

    ``compressions`` are those of the layers as pushed: docker's family has no zstd.
    """
    if Compression.ZSTD in compressions:
        return OCI
    return OCI if image.manifest and image.manifest.media_type == OCI.manifest else DOCKER


def build_manifest(
    image: ArchiveImage, family: ManifestFormat, layers: Sequence[BlobInfo]
) -> BuiltManifest:
    """The manifest that names ``layers``, the image's layers as pushed, in order."""
    if image.manifest and _unchanged(image.layers, layers):
        return BuiltManifest(image.manifest.raw, image.manifest.media_type)
    carried: Mapping[str, object] = image.manifest.document if image.manifest else {}
    config = BlobInfo(image.config_digest, len(image.config), family.config)
    document = {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": config.as_document(),
        "layers": [layer.as_document() for layer in layers],
        **{field: carried[field] for field in _KEPT_FIELDS if field in carried},
    }
    return BuiltManifest(json.dumps(document, separators=(",", ":")).encode(), family.manifest)


def _unchanged(stored: Sequence[Layer], pushed: Sequence[BlobInfo]) -> bool:
    return [layer.digest for layer in stored] == [blob.digest for blob in pushed]
