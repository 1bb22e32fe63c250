"""Brings blobs to one repository in the cheapest way that works: found, mounted, or sent."""

from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial

from ..api.registry import Registry
from ..descriptors import BlobInfo
from ..exceptions import DeniedError, RegistryError, ServerError, UnsupportedError
from ..outages import is_outage
from .ledger import BlobLedger
from .progress import BlobProgress, BlobState, OnProgress
from .send_rate import SendRate
from .sources import BlobSource
from .uploads import BlobUpload, OpenUploads


class RepositoryBlobs:
    """The blobs of ``repository`` at ``registry``, for one push."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        *,
        ledger: BlobLedger,
        uploads: OpenUploads,
        rate: SendRate,
        on_progress: OnProgress,
    ) -> None:
        self.registry = registry
        self.repository = repository
        self._ledger = ledger
        self._uploads = uploads
        self._rate = rate
        self._on_progress = on_progress
        self._believes = True
        self._failed: set[str] = set()
        """Digests of blobs for which the registry has failed to answer."""
        self._sent_bytes: Counter[str] = Counter()
        """Bytes sent so far, by the digest of their source."""

    @property
    def host(self) -> str:
        return self.registry.host

    def report(self, source: BlobSource, done: int, state: BlobState) -> None:
        sent = self._sent_bytes[source.digest]
        self._on_progress(
            BlobProgress(self.repository, source.digest, source.size, done, state, sent)
        )

    async def disbelieve(self, blobs: Iterable[BlobInfo]) -> None:
        """From now on send blobs without asking: the registry lacks some that it said it has."""
        self._believes = False
        for blob in blobs:
            for holder in await self._ledger.repositories(self.host, blob.digest):
                await self._ledger.forget_repository(self.host, holder, blob.digest)

    async def find(
        self, source: BlobSource, blob: BlobInfo | None, *, waited: bool = False
    ) -> bool:
        """Whether the blob is there already, or could be mounted from elsewhere.

        ``waited``: another push was sending it until now.
        """
        if blob is None or not self._believes:
            return False
        if await self._is_there(blob):
            state = BlobState.EXISTS
        elif await self._mount(blob.digest):
            state = BlobState.MOUNTED
        else:
            return False
        await self._remember(blob)
        self.report(source, source.size, BlobState.WAITED if waited else state)
        return True

    async def send(self, source: BlobSource, blob: BlobInfo, content: bytes) -> None:
        """Send a small blob, as ``BlobUpload.send`` does."""
        await self._upload(source).send(blob, content)
        await self._sent(source, blob)

    async def send_stream(
        self,
        source: BlobSource,
        pieces: AsyncIterable[memoryview],
        finished: Callable[[], Awaitable[BlobInfo]],
    ) -> None:
        """Send a blob of unknown size, as ``BlobUpload.stream`` does."""
        blob = await self._upload(source).stream(pieces, finished)
        await self._sent(source, blob)

    def _upload(self, source: BlobSource) -> BlobUpload:
        return BlobUpload(
            self.registry,
            self.repository,
            source.key,
            ledger=self._ledger,
            open_uploads=self._uploads,
            rate=self._rate,
            has=self._has,
            on_sent=partial(self._count, source.digest),
        )

    def _count(self, digest: str, length: int) -> None:
        self._sent_bytes[digest] += length

    async def _is_there(self, blob: BlobInfo) -> bool:
        """Whether the registry says that it has the blob. If it cannot say, it is sent.

        A distribution registry that was killed while it wrote a link answers 500, however often it
        is asked, until the blob is sent.
        """
        try:
            return await self.registry.blobs.has(self.repository, blob.digest, blob.size)
        except (DeniedError, UnsupportedError):
            return False
        except ServerError as error:
            if is_outage(error) or blob.digest not in self._failed:
                self._failed.add(blob.digest)
                raise
            return False

    async def _has(self, blob: BlobInfo) -> bool:
        with suppress(RegistryError):
            return self._believes and await self.registry.blobs.has(
                self.repository, blob.digest, blob.size
            )
        return False

    async def _mount(self, digest: str) -> bool:
        for other in await self._ledger.repositories(self.host, digest):
            if other == self.repository:
                await self._ledger.forget_repository(self.host, other, digest)
                continue
            try:
                declined = await self.registry.uploads.mount(self.repository, digest, other)
            except RegistryError as error:
                if error.retryable:
                    raise
                # We may not pull there, or get no token for it. The blob is sent instead.
            else:
                if declined is None:
                    return True
                await self.registry.uploads.abandon(declined)
            await self._ledger.forget_repository(self.host, other, digest)
        return False

    async def _sent(self, source: BlobSource, blob: BlobInfo) -> None:
        await self._remember(blob)
        self.report(source, source.size, BlobState.UPLOADED)

    async def _remember(self, blob: BlobInfo) -> None:
        await self._ledger.remember_repository(self.host, self.repository, blob.digest)
