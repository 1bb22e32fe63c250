"""How the images and indexes of an archive are pushed: their blobs and manifests.

Which digests are kept is known in advance: a manifest stays as it is in the archive unless a layer
is compressed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..archive.model import ArchiveContent, ArchiveImage, ArchiveIndex, IndexEntry, Layer
from ..descriptors import BlobInfo
from ..media_types import ManifestFormat
from .compression import AsIs, CompressionPolicy, Encoder, compression_of, encoder_for
from .manifests import BuiltManifest, build_index, build_manifest, layer_type, manifest_format
from .sources import BlobSource, BytesSource, LayerSource

Blobs = Mapping[str, BlobInfo]
"""The blobs as pushed, by the key of their source."""


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer as it will be pushed. Without a ``source`` it is foreign: only named."""

    layer: Layer
    media_type: str
    source: LayerSource | None

    def descriptor(self, blobs: Blobs) -> dict[str, Any]:
        if not self.source:
            return {"mediaType": self.media_type}
        return {**blobs[self.source.key].as_document(), "mediaType": self.media_type}


@dataclass(frozen=True, slots=True, eq=False)
class ImagePlan:
    """One image: its manifest, and the blobs that the manifest names."""

    image: ArchiveImage
    family: ManifestFormat
    config: BytesSource
    layers: tuple[PlannedLayer, ...]

    @classmethod
    def of(cls, image: ArchiveImage, policy: CompressionPolicy) -> "ImagePlan":
        encoders = [
            encoder_for(policy, layer.compression) if layer.is_tar else AsIs
            for layer in image.layers
        ]
        made = [
            compression_of(encoder, layer.compression)
            for layer, encoder in zip(image.layers, encoders, strict=True)
        ]
        family = manifest_format(image, made)
        layers = []
        for layer, encoder, compression in zip(image.layers, encoders, made, strict=True):
            media_type = layer_type(layer, family, compression)
            source = _source(image, layer, encoder, media_type)
            layers.append(PlannedLayer(layer, media_type, source))
        config = BytesSource(image.config, image.config_digest, family.config)
        return cls(image, family, config, tuple(layers))

    @property
    def kept(self) -> str | None:
        """The digest of the archive's manifest, if that is pushed unchanged."""
        sources = [planned.source for planned in self.layers if planned.source]
        as_is = all(source.encoder is AsIs for source in sources)
        return self.image.manifest.digest if self.image.manifest and as_is else None

    @property
    def parts(self) -> tuple["ContentPlan", ...]:
        """Plans of manifests that it names: none."""
        return ()

    def sources(self) -> Iterator[BlobSource]:
        yield from (planned.source for planned in self.layers if planned.source)
        yield self.config

    def build(self, blobs: Blobs, built: "Built") -> BuiltManifest:
        if self.kept and self.image.manifest:
            return BuiltManifest.carried(self.image.manifest)
        layers = [planned.descriptor(blobs) for planned in self.layers]
        return build_manifest(self.image, self.family, layers)


@dataclass(frozen=True, slots=True, eq=False)
class IndexPlan:
    """An index, and a plan for each entry that is pushed with it."""

    index: ArchiveIndex
    entries: tuple[tuple[IndexEntry, "ContentPlan"], ...]
    kept: str | None

    @property
    def parts(self) -> tuple["ContentPlan", ...]:
        return tuple(plan for _, plan in self.entries)

    def sources(self) -> Iterator[BlobSource]:
        """None: an index has no blobs of its own."""
        yield from ()

    def build(self, blobs: Blobs, built: "Built") -> BuiltManifest:
        if self.kept:
            return BuiltManifest.carried(self.index.manifest)
        return build_index(self.index, [(entry, built[plan]) for entry, plan in self.entries])


ContentPlan = ImagePlan | IndexPlan
Built = Mapping[ContentPlan, BuiltManifest]


class Planner:
    """Plans under one policy, each manifest once. ``left_out`` counts omitted attestations."""

    def __init__(self, policy: CompressionPolicy) -> None:
        self.left_out = 0
        self._policy = policy
        self._plans: dict[int, ContentPlan] = {}

    def plan(self, content: ArchiveContent) -> ContentPlan:
        if id(content) not in self._plans:
            self._plans[id(content)] = (
                ImagePlan.of(content, self._policy)
                if isinstance(content, ArchiveImage)
                else self._plan_index(content)
            )
        return self._plans[id(content)]

    def _plan_index(self, index: ArchiveIndex) -> IndexPlan:
        entries = [(entry, self.plan(entry.content)) for entry in index.entries if entry.content]
        changed = {entry.descriptor["digest"] for entry, plan in entries if not plan.kept}
        planned = tuple(pair for pair in entries if pair[0].attests not in changed)
        self.left_out += len(entries) - len(planned)
        whole = len(planned) == len(index.entries) and all(plan.kept for _, plan in planned)
        return IndexPlan(index, planned, index.manifest.digest if whole else None)


def _source(
    image: ArchiveImage, layer: Layer, encoder: type[Encoder], media_type: str
) -> LayerSource | None:
    if not layer.member:
        return None
    if not layer.digest:
        raise ValueError(f"{layer.member.name} has not been hashed")
    return LayerSource(image.tar, layer.member, layer.digest, encoder, media_type)
