"""Brings a blob to all targets of an image: read and encoded at most once, however many they are.

For each registry the blob goes to one repository; the others of that registry mount it from there.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from ..digests import is_sha256, sha256
from ..models import BlobInfo
from ..retry import Retrier
from .blocks import BlockPool
from .broadcast import Broadcast, View
from .encoding import AsIs
from .ledger import BlobLedger
from .limits import UploadLimits
from .progress import BlobState
from .sources import BlobSource, BytesSource, LayerSource
from .uploader import BlobUploader


class BlobPush:
    """Brings blobs to repositories. ``limits`` bound how many are sent at the same time."""

    def __init__(
        self, *, ledger: BlobLedger, limits: UploadLimits, pool: BlockPool, retrier: Retrier
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._pool = pool
        self._retrier = retrier

    async def known(self, source: BlobSource) -> BlobInfo | None:
        """What the source is once encoded, as far as that is known without encoding it."""
        if source.encoder is AsIs:
            return BlobInfo(source.digest, source.size, source.media_type)
        blob = await self._ledger.encoded(source.key)
        return blob if blob and _can_be(blob, source) else None

    async def bring(self, source: BlobSource, uploaders: Sequence[BlobUploader]) -> BlobInfo:
        """Have the blob in every repository when this returns, and give its descriptor.

        Raises:
            TarReadError: the archive is broken or not what its digests say.
            RegistryError: a registry failed, after the retries that can help.
        """
        # By host: whoever claims a blob at several registries does so in the same order.
        by_host = {uploader.host: uploader for uploader in reversed(uploaders)}
        first = [by_host[host] for host in sorted(by_host)]
        others = [uploader for uploader in uploaders if uploader not in first]
        return await self._retrier.run(lambda: self._bring(source, first, others))

    async def _bring(
        self, source: BlobSource, first: Sequence[BlobUploader], others: Sequence[BlobUploader]
    ) -> BlobInfo:
        blob: BlobInfo | None = None
        async with AsyncExitStack() as claims:
            missing = []
            for uploader in first:
                found = await self._find_or_claim(source, uploader, claims)
                blob = found or blob
                if not found:
                    missing.append(uploader)
            if missing:
                blob = await self._send(source, missing)
        for uploader in others:
            if not await uploader.find(source, blob):
                blob = await self._send(source, [uploader])
        if blob is None:
            raise ValueError("a blob needs at least one place to go to")
        return blob

    async def _find_or_claim(
        self, source: BlobSource, uploader: BlobUploader, claims: AsyncExitStack
    ) -> BlobInfo | None:
        """The blob, if it need not be sent; None if it must be, by us who hold the claim now."""
        mine = False
        while True:
            blob = await self.known(source)
            if blob and await uploader.find(source, blob):
                return blob
            # Whoever held the claim, maybe until just before we took it, may have sent the blob;
            # a small one is not worth a second look.
            if mine:
                return None
            claim = self._ledger.claim(uploader.host, source.key, source.size)
            mine = await claims.enter_async_context(claim)
            if mine and source.small:
                return None

    async def _send(self, source: BlobSource, uploaders: Sequence[BlobUploader]) -> BlobInfo:
        async with AsyncExitStack() as slots:
            for uploader in uploaders:
                await slots.enter_async_context(self._limits.slot(uploader.registry.name))
            for uploader in uploaders:
                uploader.report(source, 0, BlobState.UPLOADING)
            if isinstance(source, LayerSource) and not source.small:
                return await self._send_stream(source, uploaders)
            return await self._send_small(source, uploaders)

    async def _send_small(self, source: BlobSource, uploaders: Sequence[BlobUploader]) -> BlobInfo:
        if isinstance(source, BytesSource):
            content = source.content
        else:
            content = await self._pool.start(source.read)
        blob = BlobInfo(sha256(content), len(content), source.media_type)
        for uploader in uploaders:
            # Once it is encoded, its digest can be asked for.
            if source.encoder is AsIs or not await uploader.find(source, blob):
                await uploader.send(source, blob, content)
        await self._learn(source, blob)
        return blob

    async def _learn(self, source: BlobSource, blob: BlobInfo) -> None:
        """Remember what the source is once encoded, where that does not go without saying."""
        if source.encoder is not AsIs:
            await self._ledger.remember_encoded(source.key, blob)

    async def _send_stream(
        self, source: LayerSource, uploaders: Sequence[BlobUploader]
    ) -> BlobInfo:
        done = 0

        def on_sent(length: int) -> None:
            nonlocal done
            done += length
            for uploader in uploaders:
                uploader.report(source, done, BlobState.UPLOADING)

        stream = source.stream(self._pool, on_sent)

        async def finished() -> BlobInfo:
            blob = BlobInfo(stream.digest, stream.size, source.media_type)
            # Known before a registry confirms: should its answer get lost, HEAD will find it.
            await self._learn(source, blob)
            return blob

        async def send(uploader: BlobUploader, view: View) -> None:
            try:
                await uploader.send_stream(source, view, finished)
            finally:
                view.close()

        async with stream:
            if len(uploaders) == 1:
                await uploaders[0].send_stream(source, stream, finished)
            else:
                async with Broadcast(stream, len(uploaders)) as broadcast:
                    # One that fails is tried again by itself; the others are not stopped for it.
                    outcomes = await asyncio.gather(
                        *map(send, uploaders, broadcast.views), return_exceptions=True
                    )
                for outcome in outcomes:
                    if outcome is not None:
                        raise outcome
        return BlobInfo(stream.digest, stream.size, source.media_type)


def _can_be(blob: BlobInfo, source: BlobSource) -> bool:
    """Whether a remembered blob can be the encoded source, as far as that costs no reading.

    Who may write to the ledger may still name another blob of the registry.
    """
    # What does not compress is stored: a few bytes a block more than it was.
    longest = source.size + source.size // 100 + 1024
    return is_sha256(blob.digest) and 0 < blob.size <= longest
