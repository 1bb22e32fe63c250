"""Pushes what is chosen from an archive to registries: the engine under functions and worker.

For each blob: known at the target? → HEAD → mount from another repository → stream; then the
manifests by digest, then one PUT for each tag.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from ..archive.image_archive import ImageArchive
from ..archive.model import ArchiveContent, ArchiveImage
from ..archive.tar_index import Member
from ..retry import Retrier, RetryPolicy
from .blob_fan_out import BlobFanOut
from .blob_stream import hash_member
from .blocks import BlockPool
from .destinations import Destination, Destinations
from .encoding import CompressionPolicy
from .image_push import ImagePush, PushedImage
from .ledger import BlobLedger, MemoryLedger
from .limits import LocalLimits, UploadLimits
from .manifest_push import ManifestPush, Target
from .plan import PushPlan
from .progress import OnProgress, ignore_progress
from .repository_blobs import RepositoryBlobs
from .standing import StandingImages
from .tag_order import AnyOrder, TagOrder
from .uploads import OpenUploads


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
        self._blobs = BlobFanOut(
            ledger=self._ledger, limits=limits, pool=self._pool, retrier=self._retrier
        )

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

        At most ``image_uploads`` of its blobs go at the same time. What the archive holds about it,
        signatures and other referrers, goes along where their digests still hold.

        With ``reuse_tagged``, layers of an image that the ledger does not know are taken from what
        stands under the targets' tags, where the config there lists them; see ``standing``.

        Sessions that a failed push leaves open are left in ``uploads`` if given, else closed.
        A target that fails is left out, a registry that gives no answer with all of its targets,
        and the others get their image. Of several failures, one that time mends is raised before
        one that a retry may, and that before one that will not pass.

        Raises:
            TarReadError: the archive is broken or not what its digests say; nothing was tagged.
            SourceChangedError: it was written to meanwhile; nothing was tagged.
            RegistryError: a registry failed, after the retries that can help.
        """
        with archive.source.unchanged():
            if isinstance(content, ArchiveImage):
                content = await self._with_digests(content)
            # Of a compressed archive, two readers would each decompress the whole.
            slots = asyncio.Semaphore(1 if archive.compressed else image_uploads)
            standing = None
            if reuse_tagged and isinstance(content, ArchiveImage):
                standing = StandingImages(content, self._retrier)
            async with _sessions(uploads) as sessions:
                push = ImagePush(
                    archive.source,
                    PushPlan(archive, content, compression),
                    self._destinations(targets, sessions, on_progress),
                    self._blobs,
                    ManifestPush(self._retrier, tag_order or AnyOrder()),
                    slots,
                    standing,
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
                on_progress=on_progress,
            )

        return Destinations([Destination(target, blobs(target)) for target in targets])

    async def _with_digests(self, image: ArchiveImage) -> ArchiveImage:
        """Hash the layers whose digest the archive does not tell, so that they can be asked for."""
        digests: dict[Member, str] = {}
        for layer in image.layers:
            if layer.member and not layer.digest and layer.member not in digests:
                hashing = self._pool.start(hash_member, image.tar, layer.member)
                digests[layer.member] = await hashing
        layers = (
            replace(layer, digest=digests[layer.member]) if layer.member in digests else layer
            for layer in image.layers
        )
        return replace(image, layers=tuple(layers))


@asynccontextmanager
async def _sessions(given: OpenUploads | None) -> AsyncIterator[OpenUploads]:
    """Those given, which a failure leaves open; or else new ones, which it closes."""
    if given is not None:
        yield given
        return
    sessions = OpenUploads()
    try:
        yield sessions
    except BaseException:
        await sessions.abandon()
        raise
