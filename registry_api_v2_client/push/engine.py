"""Pushes an image from an archive to registries: the one engine under the functions and the worker.

For each blob: known at the target? → HEAD → mount from another repository → stream; then the
manifest by digest, then one PUT for each tag.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..archive.image_archive import ArchiveImage, Layer
from ..archive.tar_index import Member
from ..exceptions import DigestMismatchError, RegistryError, TarReadError
from ..http.registry import Registry
from ..media_types import ManifestFormat
from ..models import BlobInfo
from ..retry import Retrier, RetryPolicy
from .blob_push import BlobPush
from .blob_stream import hash_member
from .blocks import BlockPool
from .encoding import CompressionPolicy, compression_of, encoder_for
from .ledger import BlobLedger, MemoryLedger
from .limits import LocalLimits, UploadLimits
from .manifests import BuiltManifest, build_manifest, manifest_format
from .progress import BlobState, OnProgress, ignore_progress
from .sources import BlobSource, BytesSource, LayerSource
from .tag_order import AnyOrder, TagOrder
from .tasks import together
from .uploader import BlobUploader
from .uploads import OpenUploads


@dataclass(frozen=True, slots=True)
class Target:
    """A repository, and the tags that the image gets there."""

    registry: Registry
    repository: str
    tags: tuple[str, ...]

    def reference(self, tag: str) -> str:
        """``registry/repository:tag``, as references name the registry."""
        return f"{self.registry.name}/{self.repository}:{tag}"


@dataclass(frozen=True, slots=True)
class PushedImage:
    """The manifest, the same at every target."""

    digest: str
    media_type: str


class ImagePusher:
    """Pushes images; shared by all pushes of a process, whose threads it bounds.

    ``limits`` bound how many blobs are sent at the same time. Close it when done.
    """

    def __init__(
        self,
        *,
        ledger: BlobLedger | None = None,
        limits: UploadLimits | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        limits = limits or LocalLimits()
        self._ledger = ledger or MemoryLedger()
        self._retrier = Retrier(retry or RetryPolicy(), limits.failed)
        self._pool = BlockPool()
        self._blobs = BlobPush(
            ledger=self._ledger, limits=limits, pool=self._pool, retrier=self._retrier
        )

    async def push(
        self,
        image: ArchiveImage,
        targets: Sequence[Target],
        *,
        compression: CompressionPolicy = CompressionPolicy.GZIP,
        image_uploads: int = 3,
        on_progress: OnProgress = ignore_progress,
        uploads: OpenUploads | None = None,
        tag_order: TagOrder | None = None,
    ) -> PushedImage:
        """Push one image to all targets, at most ``image_uploads`` of its blobs at the same time.

        Sessions that a failed push leaves open are left in ``uploads`` if given, else closed.
        A target that fails keeps no other from its image; of several failures, one that may pass
        by itself is raised before one that will not.

        Raises:
            TarReadError: the archive is broken or not what its digests say; nothing was tagged.
            RegistryError: a registry failed, after the retries that can help.
        """
        image = await self._with_digests(image)
        if image.archive.compressed:
            image_uploads = 1  # two readers would each decompress the whole archive
        open_uploads = uploads or OpenUploads()
        push = _ImagePush(
            _Plan.of(image, compression),
            targets,
            [
                BlobUploader(
                    target.registry,
                    target.repository,
                    ledger=self._ledger,
                    uploads=open_uploads,
                    on_progress=on_progress,
                )
                for target in targets
            ],
            self._blobs,
            self._retrier,
            tag_order or AnyOrder(),
        )
        try:
            return await push.run(image_uploads)
        except BaseException:
            if uploads is None:
                await open_uploads.abandon()
            raise

    def close(self) -> None:
        self._pool.close()

    async def _with_digests(self, image: ArchiveImage) -> ArchiveImage:
        """Hash the layers whose digest the archive does not tell, so that they can be asked for."""
        digests: dict[Member, str] = {}
        for layer in image.layers:
            if not layer.digest and layer.member not in digests:
                hashing = self._pool.start(hash_member, image.archive, layer.member)
                digests[layer.member] = await hashing
        layers = (
            layer if layer.digest else replace(layer, digest=digests[layer.member])
            for layer in image.layers
        )
        return replace(image, layers=tuple(layers))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an image consists of: each blob once, however often the image names it."""

    image: ArchiveImage
    family: ManifestFormat
    config: BytesSource
    layers: dict[str, LayerSource]

    @classmethod
    def of(cls, image: ArchiveImage, policy: CompressionPolicy) -> "_Plan":
        encoders = [encoder_for(policy, layer.compression) for layer in image.layers]
        made = list(map(compression_of, encoders, (layer.compression for layer in image.layers)))
        family = manifest_format(image, made)
        layers = {
            _known(layer): LayerSource(
                image.archive, layer.member, _known(layer), encoder, family.layers[compression]
            )
            for layer, encoder, compression in zip(image.layers, encoders, made, strict=True)
        }
        config = BytesSource(image.config, image.config_digest, family.config)
        return cls(image, family, config, layers)

    @property
    def sources(self) -> list[BlobSource]:
        """All blobs; layers as they lie in the archive, so that a compressed one is read once."""
        ordered = sorted(self.layers.values(), key=lambda source: source.member.offset)
        return [*ordered, self.config]

    def manifest(self, blobs: Mapping[str, BlobInfo]) -> BuiltManifest:
        layers = [blobs[_known(layer)] for layer in self.image.layers]
        return build_manifest(self.image, self.family, layers)


class _ImagePush:
    """One image on its way to its targets."""

    def __init__(
        self,
        plan: _Plan,
        targets: Sequence[Target],
        uploaders: Sequence[BlobUploader],
        blobs: BlobPush,
        retrier: Retrier,
        tag_order: TagOrder,
    ) -> None:
        self._plan = plan
        self._pairs = list(zip(targets, uploaders, strict=True))
        self._blobs = blobs
        self._retrier = retrier
        self._tag_order = tag_order

    async def run(self, image_uploads: int) -> PushedImage:
        # All blobs are told of before the first is sent, so that totals are known.
        self._report([uploader for _, uploader in self._pairs], BlobState.WAITING)
        try:
            return await self._push_to(self._pairs, image_uploads)
        except TarReadError:
            raise
        except RegistryError:
            if len(self._pairs) == 1:
                raise
        return await self._push_to_each(image_uploads)

    async def _push_to_each(self, image_uploads: int) -> PushedImage:
        """One after the other, so that a target that fails keeps no other from its image."""
        failures: list[RegistryError] = []
        for pair in self._pairs:
            try:
                pushed = await self._push_to([pair], image_uploads)
            except RegistryError as error:
                failures.append(error)
        if failures:
            raise max(failures, key=lambda error: error.retryable)
        return pushed

    async def _push_to(
        self, pairs: Sequence[tuple[Target, BlobUploader]], image_uploads: int
    ) -> PushedImage:
        manifest = await self._known_manifest()
        missing = []
        for target, uploader in pairs:
            if manifest and await self._holds(target, manifest):
                self._report([uploader], BlobState.EXISTS)
                await self._tag(target, manifest, maybe_there=True)
            else:
                missing.append((target, uploader))
        if missing:
            manifest = await self._bring_blobs([uploader for _, uploader in missing], image_uploads)
            for target, _ in missing:
                await self._put(target, manifest.digest, manifest)
                await self._tag(target, manifest)
        if manifest is None:
            raise ValueError("an image needs at least one place to go to")
        return PushedImage(manifest.digest, manifest.media_type)

    async def _tag(
        self, target: Target, manifest: BuiltManifest, *, maybe_there: bool = False
    ) -> None:
        for tag in target.tags:
            turn = self._tag_order.turn(target.reference(tag), manifest.digest)
            async with turn as ours:
                # Asked only now: before our turn another push could still write it.
                if ours and not (maybe_there and await self._stands_for(target, tag, manifest)):
                    await self._put(target, tag, manifest)
                    await self._read_back(target, tag, manifest)

    async def _known_manifest(self) -> BuiltManifest | None:
        """The manifest, if it can be told without encoding a layer."""
        blobs: dict[str, BlobInfo] = {}
        for source in self._plan.layers.values():
            blob = await self._blobs.known(source)
            if blob is None:
                return None
            blobs[source.digest] = blob
        return self._plan.manifest(blobs)

    async def _bring_blobs(
        self, uploaders: Sequence[BlobUploader], image_uploads: int
    ) -> BuiltManifest:
        slots = asyncio.Semaphore(image_uploads)

        async def bring(source: BlobSource) -> BlobInfo:
            async with slots:
                return await self._blobs.bring(source, uploaders)

        sources = self._plan.sources
        blobs = await together(bring(source) for source in sources)
        return self._plan.manifest(
            {source.digest: blob for source, blob in zip(sources, blobs, strict=True)}
        )

    async def _holds(self, target: Target, manifest: BuiltManifest) -> bool:
        """Whether the repository says that it has the manifest."""
        held = await self._retrier.run(
            lambda: target.registry.manifest_digest(target.repository, manifest.digest)
        )
        return held == manifest.digest

    async def _stands_for(self, target: Target, tag: str, manifest: BuiltManifest) -> bool:
        stored = await self._retrier.run(
            lambda: target.registry.stored_digest(target.repository, tag)
        )
        return stored == manifest.digest

    async def _read_back(self, target: Target, tag: str, manifest: BuiltManifest) -> None:
        """One GET by tag: the bytes pushed come back only if tag and digest both lead to them."""

        async def check() -> None:
            stored = await target.registry.stored_digest(target.repository, tag)
            if stored != manifest.digest:
                raise DigestMismatchError(
                    f"{target.reference(tag)} reads back as {stored or 'nothing'} instead of "
                    f"{manifest.digest}; does another client push this tag, too?",
                    status=200,
                )

        # Some registries show a new tag only after a moment.
        await self._retrier.run(check)

    async def _put(self, target: Target, reference: str, manifest: BuiltManifest) -> None:
        await self._retrier.run(
            lambda: target.registry.put_manifest(
                target.repository, reference, manifest.raw, manifest.media_type, manifest.digest
            ),
        )

    def _report(self, uploaders: Sequence[BlobUploader], state: BlobState) -> None:
        for uploader in uploaders:
            for source in self._plan.sources:
                uploader.report(source, source.size if state.final else 0, state)


def _known(layer: Layer) -> str:
    if layer.digest is None:
        raise ValueError(f"{layer.member.name} has not been hashed")
    return layer.digest
