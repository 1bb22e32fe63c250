"""Pushes images from an archive to registries. The functions and the worker build on it.

For each blob: known at the target? → HEAD → mount from another repository → stream; then the
manifests by digest, then one PUT for each tag.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ..archive.files import ArchiveFiles, Member
from ..archive.image_archive import ImageArchive
from ..archive.model import ArchiveContent, ArchiveImage
from ..archive.source import Source
from ..archive.tar_stream import TarStream
from ..observer import NOBODY, Observer
from ..retry import Retrier, RetryPolicy
from .blob_fan_out import BlobFanOut
from .blob_stream import hash_member
from .blocks import BlockPool
from .compression import CompressionPolicy
from .destinations import Destination, Destinations
from .image_push import ImagePush, PushedImage
from .ledger import BlobLedger, MemoryLedger
from .manifest_push import ManifestPush, Target
from .plan import PushPlan
from .progress import OnProgress, ignore_progress
from .repository_blobs import RepositoryBlobs
from .send_rate import SendRate, Unlimited
from .stream_push import StreamPush
from .tag_order import AnyOrder, TagOrder
from .tagged_images import TaggedImages
from .upload_limits import LocalLimits, UploadLimits
from .uploads import OpenUploads


class ImagePusher:
    """Pushes images. All pushes of a process share it, since it bounds their threads.

    ``limits`` bound how many blobs are sent at the same time, ``rate`` how fast. Close it when
    done.
    """

    def __init__(
        self,
        *,
        ledger: BlobLedger | None = None,
        limits: UploadLimits | None = None,
        rate: SendRate | None = None,
        retry: RetryPolicy | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        limits = limits or LocalLimits()
        self._ledger = ledger or MemoryLedger()
        self._rate = rate or Unlimited()
        self._retrier = Retrier(retry or RetryPolicy(), limits.failed, observer)
        self._pool = BlockPool(observer)
        self._blobs = BlobFanOut(
            ledger=self._ledger, limits=limits, pool=self._pool, retrier=self._retrier
        )

    async def open(self, tar: str | Path | Source) -> ImageArchive:
        """Open an archive, see ``ImageArchive``."""
        remote = isinstance(tar, Source) and tar.remote
        return await self._pool.start_reading(remote, ImageArchive, tar)

    async def take_in(
        self,
        stream: TarStream,
        targets: Sequence[Target],
        *,
        compression: CompressionPolicy = CompressionPolicy.GZIP,
        image_uploads: int = 3,
        on_progress: OnProgress = ignore_progress,
        uploads: OpenUploads | None = None,
    ) -> None:
        """Send the layers of a stream to all targets as they come, until all have come.

        Raises:
            TarReadError: it is broken, or cut short.
            RegistryError: all targets failed, also after retries.
        """
        async with _sessions(uploads) as sessions:
            await StreamPush(
                stream,
                self._destinations(targets, sessions, on_progress),
                self._blobs,
                self._pool,
                compression,
                asyncio.Semaphore(image_uploads),
            ).run()

    async def push(
        self,
        archive: ImageArchive,
        content: ArchiveContent,
        targets: Sequence[Target],
        *,
        compression: CompressionPolicy = CompressionPolicy.GZIP,
        image_uploads: int = 3,
        on_progress: OnProgress = ignore_progress,
        uploads: OpenUploads | None = None,
        tag_order: TagOrder | None = None,
        reuse_tagged: bool = False,
    ) -> PushedImage:
        """Push an image of the archive, or an index with all its images, to all targets.

        At most ``image_uploads`` of its blobs are sent at the same time. Signatures and other
        referrers in the archive are pushed, too, as far as the digests that they name are kept.

        With ``reuse_tagged``, layers that the ledger does not know are taken from the images that
        the targets' tags already name, if their configs list them; see ``tagged_images``.

        Upload sessions that a failed push leaves open stay in ``uploads`` if that is given, and are
        closed if not. A target that fails is left out, and a registry that does not answer with all
        of its targets; the others get their image. If several fail, one error is raised: rather an
        outage, or else one that a retry may fix.

        Raises:
            TarReadError: the archive is broken, or not what its digests say; nothing was tagged.
            SourceChangedError: it was written to during the push; nothing was tagged.
            RegistryError: a registry failed, also after retries.
        """
        with archive.source.unchanged():
            if isinstance(content, ArchiveImage):
                content = await self._with_digests(content)
            # Two readers of a compressed archive would each decompress all of it.
            slots = asyncio.Semaphore(1 if archive.compressed else image_uploads)
            tagged = None
            if reuse_tagged and isinstance(content, ArchiveImage):
                tagged = TaggedImages(content, self._retrier)
            async with _sessions(uploads) as sessions:
                push = ImagePush(
                    archive.source,
                    PushPlan(archive, content, compression),
                    self._destinations(targets, sessions, on_progress),
                    self._blobs,
                    ManifestPush(self._retrier, tag_order or AnyOrder()),
                    slots,
                    tagged,
                )
                return await push.run()

    def close(self) -> None:
        self._pool.close()

    def _destinations(
        self, targets: Sequence[Target], sessions: OpenUploads, on_progress: OnProgress
    ) -> Destinations:
        def blobs(target: Target) -> RepositoryBlobs:
            return RepositoryBlobs(
                target.registry,
                target.repository,
                ledger=self._ledger,
                uploads=sessions,
                rate=self._rate,
                on_progress=on_progress,
            )

        return Destinations([Destination(target, blobs(target)) for target in targets])

    async def _with_digests(self, image: ArchiveImage) -> ArchiveImage:
        """Hash the layers whose digest the archive does not give, to ask registries for them."""
        digests: dict[Member, str] = {}
        for layer in image.layers:
            if layer.member and not layer.digest and layer.member not in digests:
                hashing = self._pool.start_reading(
                    image.tar.remote, _digest, image.tar, layer.member
                )
                digests[layer.member] = await hashing
        layers = (
            replace(layer, digest=digests[layer.member]) if layer.member in digests else layer
            for layer in image.layers
        )
        return replace(image, layers=tuple(layers))


def _digest(files: ArchiveFiles, member: Member) -> str:
    return files.known_digest(member) or hash_member(files, member)


@asynccontextmanager
async def _sessions(given: OpenUploads | None) -> AsyncIterator[OpenUploads]:
    """The given sessions, which stay open on failure, or new ones, which are closed then."""
    if given is not None:
        yield given
        return
    sessions = OpenUploads()
    try:
        yield sessions
    except BaseException:
        await sessions.abandon()
        raise
