"""The images that a target's tags already name: their layers need not be compressed or sent.

A config lists the diff_ids of its layers, which are digests of their contents, and its manifest
names a blob for each. Anyone who may write to the repository can have named a wrong blob there. But
they could also move the tag right after a push, so this gives them no more power. An image is
therefore trusted only for its own repository: a push to several takes a blob only if all of their
images name it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..api.manifests import Manifest
from ..archive.model import ArchiveImage
from ..descriptors import BlobInfo, is_sha256
from ..exceptions import ManifestUnknownError, RegistryError
from ..json_document import parse_json
from ..media_types import IMAGE_CONFIGS, IMAGE_MANIFESTS, LAYER_COMPRESSIONS
from ..outages import is_outage
from ..reference import DOCKER_HUB
from ..retry import Retrier
from .manifest_push import Target
from .manifests import BuiltManifest
from .sources import BlobSource, can_be

_TAGS = 2
"""How many tags of a target to look at. Often the first is a version, and the second one moves."""


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """An image at a target: its manifest, and the blobs of its layers by their diff_ids."""

    manifest: bytes
    layers: Mapping[str, BlobInfo]


_NONE = TaggedImage(b"null", {})


class TaggedImages:
    """The images that stand at the targets of ``image`` so far."""

    def __init__(self, image: ArchiveImage, retrier: Retrier) -> None:
        self._image = image
        self._retrier = retrier
        self._images: list[TaggedImage] = []

    async def look(self, target: Target) -> None:
        """Look at a target's image. Whether its blobs are there must still be asked.

        Costs a request for each tag, and one for the config unless it is that of ``image``.

        Raises:
            RegistryError: the registry is down.
        """
        try:
            self._images.append(await self._image_at(target) or _NONE)
        except RegistryError as error:
            if is_outage(error):
                raise
            self._images.append(_NONE)

    def blobs(self, sources: Iterable[BlobSource]) -> Iterator[tuple[BlobSource, BlobInfo]]:
        """The blobs that all images name for these sources, if stored as this push would."""
        named = [frozenset(image.layers.items()) for image in self._images]
        shared = dict(named[0].intersection(*named)) if named else {}
        for source in sources:
            blob = shared.get(source.digest)
            if blob and _fits(blob, source):
                yield source, BlobInfo(blob.digest, blob.size, source.media_type)

    def manifest(self, built: BuiltManifest) -> BuiltManifest:
        """The tagged manifest if it says the same in other bytes, so that the digest stays.

        Only if all targets have it: nobody may choose the bytes for another repository.
        """
        tagged = {image.manifest for image in self._images}
        if len(tagged) == 1:
            (raw,) = tagged
            if parse_json(raw) == parse_json(built.raw):
                return BuiltManifest(raw, built.media_type)
        return built

    async def _image_at(self, target: Target) -> TaggedImage | None:
        if self._image.config_type not in IMAGE_CONFIGS:
            return None
        if target.registry.name == DOCKER_HUB:
            return None  # every GET of a manifest counts against the pull limit there
        manifest = await self._retrier.run(lambda: _manifest(target))
        if not manifest or manifest.media_type not in IMAGE_MANIFESTS:
            return None
        document = manifest.document()
        diff_ids = await self._diff_ids(target, _blob(document.get("config")))
        layers = _list(document.get("layers"))
        if len(layers) != len(diff_ids):
            return None  # it is unknown which is which
        blobs = zip(diff_ids, map(_blob, layers), strict=True)
        return TaggedImage(manifest.raw, {str(diff_id): blob for diff_id, blob in blobs if blob})

    async def _diff_ids(self, target: Target, config: BlobInfo | None) -> Sequence[object]:
        if not config or config.media_type not in IMAGE_CONFIGS:
            return ()
        if config.digest == self._image.config_digest:
            document = self._image.config_document
        else:
            document = await self._retrier.run(
                lambda: target.registry.blobs.json(target.repository, config.digest)
            )
        rootfs = document.get("rootfs")
        return _list(rootfs.get("diff_ids")) if isinstance(rootfs, dict) else ()


def _fits(blob: BlobInfo, source: BlobSource) -> bool:
    """Whether a layer is stored as this push would store it: gzip is not taken for zstd."""
    wanted = LAYER_COMPRESSIONS.get(source.media_type)
    return LAYER_COMPRESSIONS.get(blob.media_type) is wanted and can_be(blob, source)


async def _manifest(target: Target) -> Manifest | None:
    for tag in target.tags[:_TAGS]:
        try:
            return await target.registry.manifests.get(target.repository, tag)
        except ManifestUnknownError:
            continue
    return None


def _blob(descriptor: object) -> BlobInfo | None:
    match descriptor:
        case {"digest": str(digest), "size": int(size), "mediaType": str(media_type)}:
            return BlobInfo(digest, size, media_type) if is_sha256(digest) else None
    return None


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
