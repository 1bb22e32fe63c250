"""What can be pushed from an archive: images, indexes, and manifests about either."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..descriptors import sha256
from ..media_types import IMAGE_CONFIGS, OCI, Compression
from ..platforms import Platform
from .documents import parse_object
from .files import ArchiveFiles, Member

_ATTESTATION = "attestation-manifest"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as the tar stores it.

    ``digest`` is the archive's digest of the stored bytes, ``diff_id`` that of the uncompressed
    ones; either may be unknown. For an uncompressed layer they are the same. ``descriptor`` is the
    layer's descriptor in the carried manifest. Without a ``member`` it is a foreign layer: clients
    get it from the URLs in its descriptor, and it is not pushed.
    """

    member: Member | None
    compression: Compression
    digest: str | None
    diff_id: str | None
    descriptor: Mapping[str, Any] | None = None
    is_tar: bool = True
    """Whether it may be recompressed. What is not a tar stays as it is."""

    @property
    def size(self) -> int:
        """Stored bytes; for a foreign layer, the size in its manifest."""
        if self.member:
            return self.member.size
        return int((self.descriptor or {}).get("size", 0))


@dataclass(frozen=True, slots=True)
class CarriedManifest:
    """A manifest in the tar. It describes the bytes in the tar, so its digest can be kept."""

    raw: bytes
    media_type: str
    document: Mapping[str, Any]

    @property
    def digest(self) -> str:
        return sha256(self.raw)


@dataclass(frozen=True, slots=True)
class ArchiveImage:
    """An image in ``tar``. Layers are in order, the base first; one may occur twice.

    ``tags`` are its names in the tar. ``notes`` tell the user how it was chosen.
    """

    tar: ArchiveFiles
    tags: tuple[str, ...]
    config: bytes
    layers: tuple[Layer, ...]
    manifest: CarriedManifest | None
    notes: tuple[str, ...] = ()

    @property
    def config_digest(self) -> str:
        return sha256(self.config)

    @property
    def config_document(self) -> Mapping[str, Any]:
        return parse_object(self.config, "the image config")

    @property
    def config_type(self) -> str:
        """The config's media type; without a manifest, that of an OCI image."""
        config = self.manifest.document.get("config", {}) if self.manifest else {}
        return str(config.get("mediaType") or OCI.config)

    @property
    def original_tags(self) -> tuple[str, ...]:
        return _full_names(self.tags)

    @property
    def platform(self) -> Platform | None:
        """What it runs on, by its config; None for an artifact."""
        return Platform.of(self.config_document) if self.config_type in IMAGE_CONFIGS else None

    def has_layers_of(self, other: "ArchiveImage") -> bool:
        """Whether both have the same layers, as the tar stores them."""
        members = [layer.member for layer in self.layers]
        return members == [layer.member for layer in other.layers]

    @property
    def images(self) -> tuple["ArchiveImage", ...]:
        """Itself: the one image to choose from."""
        return (self,)

    def of_platform(self, platform: Platform) -> Iterator["ArchiveImage"]:
        """Itself, if it is for that platform."""
        if self.platform == platform:
            yield self

    @property
    def digests(self) -> Iterator[str]:
        """Digests by which it can be chosen."""
        yield self.config_digest
        if self.manifest:
            yield self.manifest.digest


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An entry of an index, and its content if the archive holds that."""

    descriptor: Mapping[str, Any]
    content: "ArchiveContent | None"

    @property
    def platform(self) -> Platform | None:
        named = self.descriptor.get("platform")
        if isinstance(named, dict):
            return Platform.of(named)
        return self.content.platform if isinstance(self.content, ArchiveImage) else None

    @property
    def attests(self) -> str | None:
        """The digest of the manifest that this attests, as BuildKit records it.

        Source: https://docs.docker.com/build/metadata/attestations/attestation-storage/
        """
        annotations = self.descriptor.get("annotations")
        if not isinstance(annotations, dict) or annotations.get(_REFERENCE_TYPE) != _ATTESTATION:
            return None
        return str(annotations.get(_REFERENCE_DIGEST))


@dataclass(frozen=True, slots=True)
class ArchiveIndex:
    """An image index in ``tar``: usually one image for each of several platforms.

    ``images`` are all that it leads to, also through other indexes, each once. ``complete`` says
    whether the archive holds everything that the index names.
    """

    tar: ArchiveFiles
    tags: tuple[str, ...]
    manifest: CarriedManifest
    entries: tuple[IndexEntry, ...]
    images: tuple[ArchiveImage, ...]
    complete: bool
    notes: tuple[str, ...] = ()

    @property
    def original_tags(self) -> tuple[str, ...]:
        return _full_names(self.tags)

    @property
    def digests(self) -> Iterator[str]:
        """The digest by which it can be chosen."""
        yield self.manifest.digest

    def of_platform(self, platform: Platform) -> Iterator[ArchiveImage]:
        """Images for that platform, by what the index says, or else by their configs."""
        for entry in self.entries:
            if isinstance(entry.content, ArchiveIndex):
                yield from entry.content.of_platform(platform)
            elif entry.content and not entry.attests and entry.platform == platform:
                yield entry.content


ArchiveContent = ArchiveImage | ArchiveIndex


@dataclass(frozen=True, slots=True)
class Companion:
    """A manifest about another: a referrer names its subject, a cosign signature is found by a tag.

    Sources: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    and https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery
    """

    subject: str
    tag: str | None
    content: ArchiveContent

    @property
    def digest(self) -> str:
        """The digest of its manifest, which it always has."""
        *_, digest = self.content.digests
        return digest


@dataclass(frozen=True, slots=True)
class LostCompanion:
    """A companion that the archive names, but does not hold completely."""

    subject: str
    reason: str


def _full_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that can be pushed to: layouts may name an image by only a tag or a digest."""
    return tuple(name for name in names if "@" not in name and ("/" in name or ":" in name))
