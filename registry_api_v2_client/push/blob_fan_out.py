"""Brings a blob to all targets of an image. It is read and encoded once for all of them.

For each registry the blob goes to one repository; the others of that registry mount it from there.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    nullcontext,
)
from functools import partial
from typing import TypeVar

from ..descriptors import BlobInfo, sha256
from ..exceptions import NoSlotError, RegistryError
from ..retry import Retrier
from .blob_stream import BlobStream
from .blocks import BlockPool
from .broadcast import Broadcast
from .compression import AsIs
from .destinations import Attempt, Destination, Destinations
from .ledger import BlobLedger
from .progress import BlobState
from .sources import BlobSource, BytesSource, LayerSource, can_be
from .upload_limits import UploadLimits

T = TypeVar("T")


class BlobFanOut:
    """Brings blobs to all targets. ``limits`` bound how many are sent at the same time."""

    def __init__(
        self, *, ledger: BlobLedger, limits: UploadLimits, pool: BlockPool, retrier: Retrier
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._pool = pool
        self._retrier = retrier

    async def known(self, source: BlobSource) -> BlobInfo | None:
        """The descriptor of the encoded source, if it is known without encoding."""
        if source.encoder is AsIs:
            return BlobInfo(source.digest, source.size, source.media_type)
        blob = await self._ledger.encoded(source.key)
        return blob if blob and can_be(blob, source) else None

    async def has_everywhere(
        self, source: BlobSource, blob: BlobInfo, destinations: Destinations
    ) -> bool:
        """Whether all destinations that are left have the blob, or can mount it."""
        attempt = Attempt()
        found = await attempt.at(destinations.left, lambda one: one.blobs.find(source, blob))
        return not attempt.failures and all(found.values())

    async def bring(self, source: BlobSource, destinations: Destinations) -> BlobInfo:
        """Bring the blob to all destinations that are left, and return its descriptor.

        A destination that fails, also after retries, is left out.

        Raises:
            TarReadError: the archive is broken, or not what its digests say.
            RegistryError: no destination is left.
        """
        blob: BlobInfo | None = None
        brought: set[Destination] = set()
        tries: Counter[Destination] = Counter()
        while missing := [one for one in destinations.left if one not in brought]:
            attempt = Attempt()
            blob = await self._bring(source, missing, attempt) or blob
            brought |= attempt.made - attempt.failures.keys()
            wait = 0.0
            for failed, error in attempt.failures.items():
                tries[failed] += 1
                put_off = isinstance(error, NoSlotError)
                delay = None if put_off else await self._retrier.delay(tries[failed], error)
                if delay is None:
                    destinations.leave_out(failed, error)
                else:
                    wait = max(wait, delay)
            await asyncio.sleep(wait)
        if blob is None:
            destinations.raise_failure()
            raise ValueError("a blob needs at least one place to go to")
        return blob

    async def _bring(
        self, source: BlobSource, destinations: Sequence[Destination], attempt: Attempt
    ) -> BlobInfo | None:
        # In the order of hosts, so that two pushes never wait for each other's claims.
        by_host = {one.host: one for one in reversed(destinations)}
        first = [by_host[host] for host in sorted(by_host)]
        async with AsyncExitStack() as stack:
            held = {one: await stack.enter_async_context(AsyncExitStack()) for one in first}
            found = await attempt.at(first, partial(self._find, source))
            for one in [one for one, blob in found.items() if not blob]:
                found |= await attempt.at([one], partial(self._claim, held[one], source))
            blob = next(filter(None, found.values()), None)
            missing = {
                one: held[one]
                for one, blob in found.items()
                if not blob and one not in attempt.failures
            }
            if missing:
                blob = await self._send(source, missing, attempt) or blob
        for one in destinations:
            # If the first one of a registry failed, there is nothing to mount from.
            if one not in first and by_host[one.host] not in attempt.failures:
                await attempt.at([one], partial(self._mount, source, blob, attempt))
        return blob

    async def _find(
        self, source: BlobSource, destination: Destination, *, waited: bool = False
    ) -> BlobInfo | None:
        """The blob, if its bytes need not be sent."""
        blob = await self.known(source)
        found = blob and await destination.blobs.find(source, blob, waited=waited)
        return blob if found else None

    async def _claim(
        self, held: AsyncExitStack, source: BlobSource, destination: Destination
    ) -> BlobInfo | None:
        """The blob, if another push has sent it; else None, and we hold the claim to send it."""
        while True:
            claim = self._ledger.claim(destination.host, source.key, source.size)
            mine = await held.enter_async_context(claim)
            # The last holder of the claim may have sent the blob, maybe just before we took it.
            # For a small blob, asking again is not worth it.
            if mine and source.small:
                return None
            found = await self._find(source, destination, waited=not mine)
            if found or mine:
                return found

    async def _mount(
        self,
        source: BlobSource,
        blob: BlobInfo | None,
        attempt: Attempt,
        destination: Destination,
    ) -> None:
        if not await destination.blobs.find(source, blob):
            async with AsyncExitStack() as held:
                await self._send(source, {destination: held}, attempt)

    async def _send(self, source: BlobSource, held: "_Held", attempt: Attempt) -> BlobInfo | None:
        """Send the blob. None: no registry took all of it, so its digest is not known."""

        async def take_slot(destination: Destination) -> None:
            slot = self._limits.slot(destination.target.registry.name)
            try:
                await held[destination].enter_async_context(slot)
            except RegistryError:
                await held[destination].aclose()
                raise

        for one in tuple(held):
            await attempt.at([one], take_slot)
        held = {one: stack for one, stack in held.items() if one not in attempt.failures}
        for one in held:
            one.blobs.report(source, 0, BlobState.UPLOADING)
        if not held:
            return None
        if isinstance(source, LayerSource) and not source.small:
            return await self._send_stream(source, held, attempt)
        return await self._send_small(source, held, attempt)

    async def _send_small(self, source: BlobSource, held: "_Held", attempt: Attempt) -> BlobInfo:
        if isinstance(source, BytesSource):
            content = source.content
        else:
            reading = self._pool.start_reading(source.tar.remote, source.read, self._pool.observer)
            content = await reading
        blob = BlobInfo(sha256(content), len(content), source.media_type)

        async def send(destination: Destination) -> None:
            blobs = destination.blobs
            async with held[destination]:
                # Once it is encoded, its digest can be asked for.
                if source.encoder is AsIs or not await blobs.find(source, blob):
                    await blobs.send(source, blob, content)

        # Before it is sent: a push that waits for a claim goes on once that destination is done.
        await self._learn(source, blob)
        await attempt.at(held, send)
        return blob

    async def _learn(self, source: BlobSource, blob: BlobInfo) -> None:
        """Remember the descriptor of the encoded source, unless it is sent as it is."""
        if source.encoder is not AsIs:
            await self._ledger.remember_encoded(source.key, blob)

    async def _send_stream(
        self, source: LayerSource, held: "_Held", attempt: Attempt
    ) -> BlobInfo | None:
        done = 0

        def on_sent(length: int) -> None:
            nonlocal done
            done += length
            for one in held:
                one.blobs.report(source, done, BlobState.UPLOADING)

        stream = source.stream(self._pool, on_sent)

        async def finished() -> BlobInfo:
            blob = BlobInfo(stream.digest, stream.size, source.media_type)
            # Before a registry confirms: if the answer is lost, a HEAD will find the blob.
            await self._learn(source, blob)
            return blob

        async with stream, _shares(stream, tuple(held)) as shares:

            async def send(destination: Destination) -> None:
                async with held[destination]:
                    with shares[destination] as pieces:
                        await destination.blobs.send_stream(source, pieces, finished)

            sent = await attempt.at(held, send)
        return BlobInfo(stream.digest, stream.size, source.media_type) if sent else None


_Held = dict[Destination, AsyncExitStack]
"""Claims and slots at each destination, given back as soon as it is done with the blob."""


@asynccontextmanager
async def _shares(
    stream: BlobStream, destinations: Sequence[Destination]
) -> AsyncIterator[dict[Destination, AbstractContextManager[AsyncIterable[memoryview]]]]:
    """The pieces for each destination. One that stops sending does not hold up the others."""
    if len(destinations) == 1:
        yield {destinations[0]: nullcontext(stream)}
        return
    async with Broadcast(stream, len(destinations)) as broadcast:
        yield dict(zip(destinations, map(closing, broadcast.views), strict=True))
