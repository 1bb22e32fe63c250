"""Pushes an image from an archive to registries: the one engine under the functions and the worker.

For each blob: known at the target? → HEAD → mount from another repository → stream; then the
manifest by digest, then one PUT for each tag.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..archive.image_archive import ArchiveImage, Layer
from ..http.registry import Registry
from ..models import BlobInfo
from ..retry import RetryPolicy, retrying
from .blob_stream import hash_member
from .blocks import BlockPool
from .encoding import CompressionPolicy, compression_of, encoder_for
from .ledger import BlobLedger, MemoryLedger
from .manifests import BuiltManifest, build_manifest, manifest_format
from .progress import BlobState, OnProgress, ignore_progress
from .sources import BlobSource, BytesSource, LayerSource
from .uploader import BlobUploader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """A repository, and the tags that the image gets there."""

    registry: Registry
    repository: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PushedImage:
    """The manifest, the same at every target."""

    digest: str
    media_type: str


class ImagePusher:
    """Pushes images; shared by all pushes of a process, whose threads and streams it bounds.

    ``max_uploads`` is the number of blobs that are sent at the same time. Close it when done.
    """

    def __init__(
        self,
        *,
        ledger: BlobLedger | None = None,
        max_uploads: int = 8,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._ledger = ledger or MemoryLedger()
        self._slots = asyncio.Semaphore(max_uploads)
        self._retry = retry or RetryPolicy()
        self._pool = BlockPool()

    async def push(
        self,
        image: ArchiveImage,
        targets: Sequence[Target],
        *,
        compression: CompressionPolicy = CompressionPolicy.GZIP,
        image_uploads: int = 3,
        on_progress: OnProgress = ignore_progress,
    ) -> PushedImage:
        """Push one image to all targets, at most ``image_uploads`` of its blobs at the same time.

        Raises:
            TarReadError: the archive is broken or not what its digests say; nothing was tagged.
            RegistryError: a registry failed, after the retries that can help.
        """
        image = await self._with_digests(image)
        if image.archive.compressed:
            image_uploads = 1  # two readers would each decompress the whole archive
        plan = _Plan.of(image, compression)
        pushes = [
            _TargetPush(self._uploader(target, on_progress), target, plan, self._retry)
            for target in targets
        ]
        for push in pushes:
            push.announce()
        manifests = [await push.run(image_uploads) for push in pushes]
        return PushedImage(manifests[0].digest, manifests[0].media_type)

    def close(self) -> None:
        self._pool.close()

    def _uploader(self, target: Target, on_progress: OnProgress) -> BlobUploader:
        return BlobUploader(
            target.registry,
            target.repository,
            ledger=self._ledger,
            slots=self._slots,
            pool=self._pool,
            retry=self._retry,
            on_progress=on_progress,
        )

    async def _with_digests(self, image: ArchiveImage) -> ArchiveImage:
        """Hash the layers whose digest the archive does not tell, so that they can be asked for."""
        hashed = [await self._with_digest(image, layer) for layer in image.layers]
        return replace(image, layers=tuple(hashed))

    async def _with_digest(self, image: ArchiveImage, layer: Layer) -> Layer:
        if layer.digest:
            return layer
        reader = await self._pool.start(image.archive.open, layer.member)
        return replace(layer, digest=await self._pool.start(hash_member, reader))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an image consists of: each blob once, however often the image names it."""

    image: ArchiveImage
    config: BytesSource
    layers: dict[str, LayerSource]

    @classmethod
    def of(cls, image: ArchiveImage, policy: CompressionPolicy) -> "_Plan":
        family = manifest_format(image)
        layers: dict[str, LayerSource] = {}
        for layer in image.layers:
            encoder = encoder_for(policy, layer.compression)
            media_type = family.layers[compression_of(encoder, layer.compression)]
            digest = _known(layer)
            layers[digest] = LayerSource(image.archive, layer.member, digest, encoder, media_type)
        return cls(image, BytesSource(image.config, family.config), layers)

    @property
    def sources(self) -> list[BlobSource]:
        """All blobs; layers as they lie in the archive, so that a compressed one is read once."""
        ordered = sorted(self.layers.values(), key=lambda source: source.member.offset)
        return [*ordered, self.config]

    def manifest(self, blobs: dict[str, BlobInfo]) -> BuiltManifest:
        return build_manifest(self.image, [blobs[_known(layer)] for layer in self.image.layers])


class _TargetPush:
    """One image on its way to one repository."""

    def __init__(
        self, uploader: BlobUploader, target: Target, plan: _Plan, retry: RetryPolicy
    ) -> None:
        self._uploader = uploader
        self._target = target
        self._plan = plan
        self._retry = retry

    def announce(self) -> None:
        """Tell of all blobs before the first is sent, so that totals are known."""
        self._report_all(BlobState.WAITING)

    async def run(self, uploads: int) -> BuiltManifest:
        manifest = await self._already_there()
        if manifest:
            self._report_all(BlobState.EXISTS)
            return manifest
        slots = asyncio.Semaphore(uploads)

        async def bring(source: BlobSource) -> BlobInfo:
            async with slots:
                return await self._uploader.bring(source)

        sources = self._plan.sources
        blobs = await _together(bring(source) for source in sources)
        manifest = self._plan.manifest(
            {source.digest: blob for source, blob in zip(sources, blobs, strict=True)}
        )
        for reference in (manifest.digest, *self._target.tags):
            await self._put(manifest, reference)
        return manifest

    async def _already_there(self) -> BuiltManifest | None:
        """The manifest, if it can be told beforehand and every tag stands for it already."""
        blobs: dict[str, BlobInfo] = {}
        for source in self._plan.layers.values():
            blob = await self._uploader.known(source)
            if blob is None:
                return None
            blobs[source.digest] = blob
        manifest = self._plan.manifest(blobs)
        for tag in self._target.tags:
            if await self._digest_of(tag) != manifest.digest:
                return None
        return manifest

    async def _digest_of(self, tag: str) -> str | None:
        registry, repository = self._target.registry, self._target.repository
        return await retrying(self._retry, lambda: registry.manifest_digest(repository, tag))

    async def _put(self, manifest: BuiltManifest, reference: str) -> None:
        registry, repository = self._target.registry, self._target.repository
        await retrying(
            self._retry,
            lambda: registry.put_manifest(
                repository, reference, manifest.raw, manifest.media_type, manifest.digest
            ),
        )

    def _report_all(self, state: BlobState) -> None:
        for source in self._plan.sources:
            self._uploader.report(source, source.size if state.final else 0, state)


def _known(layer: Layer) -> str:
    if layer.digest is None:
        raise ValueError(f"{layer.member.name} has not been hashed")
    return layer.digest


async def _together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at once; the first failure stops the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failures:
        raise _first(failures) from None
    return [task.result() for task in tasks]


def _first(failure: BaseException) -> BaseException:
    return _first(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure
