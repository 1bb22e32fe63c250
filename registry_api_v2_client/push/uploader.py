"""Brings single blobs to one repository, by the cheapest way that works."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress

from ..api.registry import Registry
from ..api.uploads import UploadSession
from ..descriptors import BlobInfo
from ..exceptions import (
    DeniedError,
    DigestMismatchError,
    RegistryError,
    ResponseError,
    ServerError,
    UnsupportedError,
    UploadUnknownError,
)
from ..outages import is_outage
from .chunks import Chunks
from .ledger import BlobLedger
from .progress import BlobProgress, BlobState, OnProgress
from .sources import BlobSource
from .uploads import OpenUploads


class BlobUploader:
    """Brings blobs to ``repository`` of ``registry``."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        *,
        ledger: BlobLedger,
        uploads: OpenUploads,
        on_progress: OnProgress,
    ) -> None:
        self.registry = registry
        self.repository = repository
        self._ledger = ledger
        self._uploads = uploads
        self._on_progress = on_progress
        self._believes = True
        self._failed: set[str] = set()
        """Digests that the registry has failed to tell of before."""

    @property
    def host(self) -> str:
        return self.registry.host

    def report(self, source: BlobSource, done: int, state: BlobState) -> None:
        self._on_progress(BlobProgress(self.repository, source.digest, source.size, done, state))

    async def disbelieve(self, blobs: Iterable[BlobInfo]) -> None:
        """The registry lacks blobs that it said it has: it is sent them without being asked."""
        self._believes = False
        for blob in blobs:
            for holder in await self._ledger.repositories(self.host, blob.digest):
                await self._ledger.forget_repository(self.host, holder, blob.digest)

    async def find(self, source: BlobSource, blob: BlobInfo | None) -> bool:
        """Have the blob without sending it: it is there already, or in a repository near by."""
        if blob is None or not self._believes:
            return False
        if await self._is_there(blob):
            state = BlobState.EXISTS
        elif await self._mount(blob.digest):
            state = BlobState.MOUNTED
        else:
            return False
        await self._remember(blob)
        self.report(source, source.size, state)
        return True

    async def send(self, source: BlobSource, blob: BlobInfo, content: bytes) -> None:
        """Send a small blob: POST and PUT."""
        session = await self._start(source)
        try:
            await self._finish(session, blob, content)
        except ResponseError:
            await self._uploads.close(self._place(source))
            raise
        self._uploads.remove(self._place(source))
        await self._sent(source, blob)

    async def send_stream(
        self,
        source: BlobSource,
        pieces: AsyncIterable[memoryview],
        finished: Callable[[], Awaitable[BlobInfo]],
    ) -> None:
        """Send a blob by PATCH between POST and PUT, from where an interrupted one stopped.

        In one PATCH, unless the registry wants chunks. ``finished`` gives the descriptor once all
        ``pieces`` have been taken.
        """
        session = await self._open(source)
        try:
            last = await self._send_most(source, session, self._skip(pieces, session.offset))
            blob = await finished()
            await self._finish(session, blob, last)
        except ResponseError as error:
            if not _can_go_on(error):
                await self._abandon(source, session)
            raise
        await self._close(source)
        await self._sent(source, blob)

    async def _send_most(
        self, source: BlobSource, session: UploadSession, pieces: AsyncIterable[memoryview]
    ) -> bytes:
        """Send the blob but for its last chunk, which is returned; a stream leaves none."""
        if session.chunk is None:
            await self.registry.uploads.stream(session, pieces)
            return b""
        chunks = Chunks(pieces, session.chunk)
        async for chunk in chunks:
            await self.registry.uploads.chunk(session, chunk)
            await self._note(source, session)
        return chunks.rest

    async def _finish(self, session: UploadSession, blob: BlobInfo, content: bytes) -> None:
        """Close the session as the blob; should that be refused, maybe since it is there already.

        Nexus answers 400 to the slower one of two uploads of the same blob:
        https://github.com/sonatype/nexus-public/issues/967
        """
        try:
            await self.registry.uploads.finish(session, blob.digest, content)
        except ResponseError as error:
            if error.retryable and not isinstance(error, UploadUnknownError):
                raise
            if not await self._has(blob):
                raise
            await self.registry.uploads.abandon(session)

    async def _is_there(self, blob: BlobInfo) -> bool:
        """Whether the registry says so; one that will not say gets the blob.

        Nor can distribution say that was killed while it wrote a link: it answers 500, also when it
        is asked again, until the blob is sent.
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

    async def _open(self, source: BlobSource) -> UploadSession:
        """A session to go on with."""
        location = await self._ledger.upload(self.host, self.repository, source.key)
        if location and (session := self.registry.uploads.noted(self.repository, location)):
            try:
                if await self.registry.uploads.offset(session):
                    self._keep(source, session)
                    await self._note(source, session)
                    return session
            except ResponseError as error:
                if _can_go_on(error):
                    raise
            await self._abandon(source, session)
        session = await self._start(source)
        self._keep(source, session)
        await self._note(source, session)
        return session

    async def _note(self, source: BlobSource, session: UploadSession) -> None:
        """Note where to go on, should this be the last that is heard of the session."""
        await self._ledger.remember_upload(
            self.host, self.repository, source.key, str(session.location)
        )

    async def _start(self, source: BlobSource) -> UploadSession:
        """Open a session; the registry may do so even when we are cancelled before it answers."""
        await self._uploads.close(self._place(source))
        starting = asyncio.create_task(self.registry.uploads.start(self.repository))
        self._uploads.add(self._place(source), lambda: self._abandon_started(starting))
        try:
            return await asyncio.shield(starting)
        except RegistryError:
            self._uploads.remove(self._place(source))
            raise

    async def _abandon_started(self, starting: asyncio.Task[UploadSession]) -> None:
        with suppress(RegistryError):
            await self.registry.uploads.abandon(await starting)

    def _keep(self, source: BlobSource, session: UploadSession) -> None:
        self._uploads.add(self._place(source), lambda: self._abandon(source, session))

    async def _abandon(self, source: BlobSource, session: UploadSession) -> None:
        await self._close(source)
        await self.registry.uploads.abandon(session)

    async def _close(self, source: BlobSource) -> None:
        self._uploads.remove(self._place(source))
        await self._ledger.forget_upload(self.host, self.repository, source.key)

    def _place(self, source: BlobSource) -> tuple[str, str, str]:
        return self.host, self.repository, source.key

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
                # We may not pull there, or get no token for it; that is no reason to fail.
            else:
                if declined is None:
                    return True
                await self.registry.uploads.abandon(declined)
            await self._ledger.forget_repository(self.host, other, digest)
        return False

    async def _skip(
        self, pieces: AsyncIterable[memoryview], count: int
    ) -> AsyncIterator[memoryview]:
        """The pieces without their first ``count`` bytes, which the registry has already."""
        async for piece in pieces:
            if count < len(piece):
                yield piece[count:] if count else piece
            count = max(0, count - len(piece))
        if count:
            raise UploadUnknownError(
                f"{self.host} claims {count} bytes more of an upload than there are to send",
                status=416,
            )

    async def _sent(self, source: BlobSource, blob: BlobInfo) -> None:
        await self._remember(blob)
        self.report(source, source.size, BlobState.UPLOADED)

    async def _remember(self, blob: BlobInfo) -> None:
        await self._ledger.remember_repository(self.host, self.repository, blob.digest)


def _can_go_on(error: ResponseError) -> bool:
    """Whether the upload session is still of use; the next try goes on with it then."""
    return error.retryable and not isinstance(error, (UploadUnknownError, DigestMismatchError))
