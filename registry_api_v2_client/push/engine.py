"""Pushes what is chosen from an archive to registries: the engine under functions and worker.

For each blob: known at the target? → HEAD → mount from another repository → stream; then the
manifests by digest, then one PUT for each tag.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from ..archive.model import ArchiveContent, ArchiveImage
from ..archive.source_file import SourceFile
from ..archive.tar_index import Member
from ..exceptions import BlobUnknownError
from ..models import BlobInfo
from ..retry import Retrier, RetryPolicy
from .blob_push import BlobPush
from .blob_stream import hash_member
from .blocks import BlockPool
from .destinations import Destination, Destinations
from .encoding import CompressionPolicy
from .ledger import BlobLedger, MemoryLedger
from .limits import LocalLimits, UploadLimits
from .manifest_push import ManifestPush, Target
from .plan import PlannedManifests, PushPlan
from .progress import BlobState, OnProgress, ignore_progress
from .sources import BlobSource
from .tag_order import AnyOrder, TagOrder
from .tasks import together
from .uploader import BlobUploader
from .uploads import OpenUploads


@dataclass(frozen=True, slots=True)
class PushedImage:
    """The manifest or index, the same at every target.

    ``notes`` are what a user would not expect of the push, a line each: what was left out and why.
    """

    digest: str
    media_type: str
    notes: tuple[str, ...] = ()


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
        content: ArchiveContent,
        targets: Sequence[Target],
        *,
        compression: CompressionPolicy = CompressionPolicy.GZIP,
        image_uploads: int = 3,
        on_progress: OnProgress = ignore_progress,
        uploads: OpenUploads | None = None,
        tag_order: TagOrder | None = None,
    ) -> PushedImage:
        """Push an image, or an index with all its images, to all targets.

        At most ``image_uploads`` of its blobs go at the same time. What the archive holds about it,
        signatures and other referrers, goes along where their digests still hold.

        Sessions that a failed push leaves open are left in ``uploads`` if given, else closed.
        A target that fails is left out, a registry that gives no answer with all of its targets,
        and the others get their image. Of several failures, one that may pass by itself is raised
        before one that will not.

        Raises:
            TarReadError: the archive is broken or not what its digests say; nothing was tagged.
            SourceChangedError: it was written to meanwhile; nothing was tagged.
            RegistryError: a registry failed, after the retries that can help.
        """
        if isinstance(content, ArchiveImage):
            content = await self._with_digests(content)
        if content.archive.compressed:
            image_uploads = 1  # two readers would each decompress the whole archive
        open_uploads = uploads or OpenUploads()
        push = _ImagePush(
            content.archive.source,
            PushPlan(content, compression),
            [
                Destination(
                    target,
                    BlobUploader(
                        target.registry,
                        target.repository,
                        ledger=self._ledger,
                        uploads=open_uploads,
                        on_progress=on_progress,
                    ),
                )
                for target in targets
            ],
            self._blobs,
            ManifestPush(self._retrier, tag_order or AnyOrder()),
            image_uploads,
        )
        try:
            with content.archive.source.unchanged():
                return await push.run()
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
            if layer.member and not layer.digest and layer.member not in digests:
                hashing = self._pool.start(hash_member, image.archive, layer.member)
                with image.archive.source.unchanged():
                    digests[layer.member] = await hashing
        layers = (
            replace(layer, digest=digests[layer.member]) if layer.member in digests else layer
            for layer in image.layers
        )
        return replace(image, layers=tuple(layers))


class _ImagePush:
    """One image on its way to its targets."""

    def __init__(
        self,
        source: SourceFile,
        plan: PushPlan,
        destinations: Sequence[Destination],
        blobs: BlobPush,
        manifests: ManifestPush,
        image_uploads: int,
    ) -> None:
        self._source = source
        self._plan = plan
        self._destinations = Destinations(destinations)
        self._blobs = blobs
        self._manifests = manifests
        self._slots = asyncio.Semaphore(image_uploads)

    async def run(self) -> PushedImage:
        # All blobs are told of before the first is sent, so that totals are known.
        for destination in self._destinations.left:
            self._report(destination, BlobState.WAITING)
        manifests = await self._known_manifests()
        if manifests:
            await self._destinations.each(partial(self._tag_what_is_there, manifests))
        if self._destinations.left:
            manifests = await self._bring_blobs()
            await self._destinations.each(partial(self._write, manifests))
        self._destinations.raise_failure()
        if manifests is None:
            raise ValueError("an image needs at least one place to go to")
        notes = (*self._plan.notes, *self._manifests.notes)
        return PushedImage(manifests.main.digest, manifests.main.media_type, notes)

    async def _known_manifests(self) -> PlannedManifests | None:
        """The manifests, if they can be told without encoding a layer."""
        blobs: dict[str, BlobInfo] = {}
        for source in self._plan.sources:
            blob = await self._blobs.known(source)
            if blob is None:
                return None
            blobs[source.key] = blob
        return self._plan.manifests(blobs)

    async def _tag_what_is_there(
        self, manifests: PlannedManifests, destination: Destination
    ) -> None:
        if await self._manifests.is_there(destination.target, manifests):
            self._report(destination, BlobState.EXISTS)
            await self._manifests.tag(destination.target, manifests, maybe_there=True)
            self._destinations.done(destination)

    async def _bring_blobs(self) -> PlannedManifests:
        sources = self._plan.sources
        blobs = await together(self._bring(source, self._destinations) for source in sources)
        self._source.check_unchanged()  # all is read, and nothing leads to it yet
        return self._plan.manifests(
            {source.key: blob for source, blob in zip(sources, blobs, strict=True)}
        )

    async def _bring(self, source: BlobSource, destinations: Destinations) -> BlobInfo:
        async with self._slots:
            return await self._blobs.bring(source, destinations)

    async def _write(self, manifests: PlannedManifests, destination: Destination) -> None:
        try:
            await self._manifests.write(destination.target, manifests)
        except BlobUnknownError as error:
            await self._send_again(destination, error.digests)
            with _explained(destination.host):
                await self._manifests.write(destination.target, manifests)
        await self._manifests.tag(destination.target, manifests)
        self._destinations.done(destination)

    async def _send_again(self, destination: Destination, digests: Collection[str]) -> None:
        """Send blobs that the registry only says it has: those of the digests, or else all."""
        blobs = {source: await self._blobs.known(source) for source in self._plan.sources}
        named = [source for source, blob in blobs.items() if blob and blob.digest in digests]
        lacking = named or list(blobs)
        await destination.uploader.disbelieve(filter(None, map(blobs.get, lacking)))
        await together(self._bring(source, Destinations([destination])) for source in lacking)

    def _report(self, destination: Destination, state: BlobState) -> None:
        for source in self._plan.sources:
            destination.uploader.report(source, source.size if state.final else 0, state)


@contextmanager
def _explained(registry: str) -> Iterator[None]:
    """Say what to make of a registry that lacks blobs which it has just been sent."""
    try:
        yield
    except BlobUnknownError as error:
        explained = BlobUnknownError(
            f"{error}; {registry} said that it had these blobs, and lacks them after they were "
            "sent again: does it cache what its garbage collection has deleted?",
            status=error.status,
            code=error.code,
        )
        explained.registry = error.registry
        raise explained from error
