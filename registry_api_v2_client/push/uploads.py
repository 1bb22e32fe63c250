"""The upload of one blob to one repository, and what happens to interrupted sessions."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress

from ..api.registry import Registry
from ..api.uploads import UploadSession
from ..descriptors import BlobInfo
from ..exceptions import DigestMismatchError, RegistryError, ResponseError, UploadUnknownError
from .chunks import Chunks
from .ledger import BlobLedger
from .send_rate import SendRate

_ABANDON_SECONDS = 5.0

Abandon = Callable[[], Awaitable[None]]


class OpenUploads:
    """The open sessions of one push. One that was interrupted stays here, to be resumed.

    The caller of a push decides what happens to its sessions when it fails: ``abandon`` them, or
    leave them at the registry for the next attempt, which finds them in the ledger.
    """

    def __init__(self) -> None:
        self._open: dict[object, Abandon] = {}

    def add(self, key: object, abandon: Abandon) -> None:
        self._open[key] = abandon

    def remove(self, key: object) -> None:
        self._open.pop(key, None)

    async def close(self, key: object) -> None:
        """Tell the registry to forget the session under that key, if there is one."""
        if abandon := self._open.pop(key, None):
            await _bounded(abandon)

    async def abandon(self) -> None:
        """Tell the registries to forget the sessions; bounded, and best effort."""
        abandons, self._open = list(self._open.values()), {}
        await _bounded(*abandons)


async def _bounded(*abandons: Abandon) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ABANDON_SECONDS):
            await asyncio.gather(*(abandon() for abandon in abandons))


class BlobUpload:
    """Sends one blob to one repository: start or resume a session, send, commit.

    ``key`` names the blob before its digest is known. While the session is open it is in
    ``open_uploads``. The session of a stream is noted in the ledger, too, and the next try resumes
    it from there. ``rate`` says how fast to send, and ``has`` whether the registry has a blob whose
    commit it refused. ``on_sent`` is called with the bytes that were sent.
    """

    def __init__(
        self,
        registry: Registry,
        repository: str,
        key: str,
        *,
        ledger: BlobLedger,
        open_uploads: OpenUploads,
        rate: SendRate,
        has: Callable[[BlobInfo], Awaitable[bool]],
        on_sent: Callable[[int], None],
    ) -> None:
        self._uploads = registry.uploads
        self._repository = repository
        self._place = registry.host, repository, key
        self._ledger = ledger
        self._open_uploads = open_uploads
        self._rate = rate
        self._registry = registry.name
        self._has = has
        self._on_sent = on_sent

    async def send(self, blob: BlobInfo, content: bytes) -> None:
        """Send a small blob: POST and PUT."""
        session = await self._start()
        try:
            await self._commit(session, blob, content)
        except ResponseError:
            await self._open_uploads.close(self._place)
            raise
        self._open_uploads.remove(self._place)

    async def stream(
        self, pieces: AsyncIterable[memoryview], finished: Callable[[], Awaitable[BlobInfo]]
    ) -> BlobInfo:
        """Send a blob by PATCH between POST and PUT, from where an interrupted one stopped.

        It is one PATCH, unless the registry wants chunks. ``finished`` gives the descriptor once
        all ``pieces`` have been taken.
        """
        session = await self._resume() or await self._start()
        await self._note(session)
        try:
            rest = await self._send(session, self._left(pieces, session.offset))
            blob = await finished()
            await self._commit(session, blob, rest)
        except ResponseError as error:
            if not _can_go_on(error):
                await self._abandon(session)
            raise
        await self._forget()
        return blob

    async def _resume(self) -> UploadSession | None:
        """The session that the ledger has noted, if the registry can continue it."""
        location = await self._ledger.upload(*self._place)
        session = self._uploads.noted(self._repository, location) if location else None
        if not session:
            return None
        try:
            if await self._uploads.offset(session):
                return session
        except ResponseError as error:
            if _can_go_on(error):
                raise
        await self._abandon(session)
        return None

    async def _start(self) -> UploadSession:
        """Open a session. The registry may open it even if we are cancelled before its answer."""
        await self._open_uploads.close(self._place)
        starting = asyncio.create_task(self._uploads.start(self._repository))
        starting.add_done_callback(_hear)
        self._open_uploads.add(self._place, lambda: self._abandon_started(starting))
        try:
            return await asyncio.shield(starting)
        except RegistryError:
            self._open_uploads.remove(self._place)
            raise

    async def _send(self, session: UploadSession, pieces: AsyncIterable[memoryview]) -> bytes:
        """Send the blob up to its last chunk, which is returned; a stream leaves none."""
        if session.chunk is None:
            await self._stream(session, self._all_paced(pieces))
            return b""
        chunks = Chunks(pieces, session.chunk)
        async for chunk in chunks:
            await self._uploads.chunk(session, chunk, self._paced)
            await self._note(session)
        return chunks.rest

    async def _stream(self, session: UploadSession, pieces: AsyncIterable[memoryview]) -> None:
        noted = session.location
        try:
            await self._uploads.stream(session, pieces)
        except asyncio.CancelledError:
            if session.location != noted:
                await self._note(session)
            raise

    async def _commit(self, session: UploadSession, blob: BlobInfo, content: bytes) -> None:
        """Close the session as the blob. A refusal may mean that the blob is there already.

        Nexus answers 400 to the slower one of two uploads of the same blob:
        https://github.com/sonatype/nexus-public/issues/967
        """
        try:
            await self._uploads.finish(session, blob.digest, content, self._paced)
        except ResponseError as error:
            if error.retryable and not isinstance(error, UploadUnknownError):
                raise
            if not await self._has(blob):
                raise
            await self._uploads.abandon(session)

    async def _left(
        self, pieces: AsyncIterable[memoryview], count: int
    ) -> AsyncIterator[memoryview]:
        """The pieces without their first ``count`` bytes, which the registry already has."""
        async for piece in pieces:
            if count < len(piece):
                yield piece[count:]
            count = max(0, count - len(piece))
        if count:
            host, *_ = self._place
            raise UploadUnknownError(
                f"{host} says that it has {count} bytes more than there are to send", status=416
            )

    async def _all_paced(self, pieces: AsyncIterable[memoryview]) -> AsyncIterator[memoryview]:
        async for piece in pieces:
            async for part in self._paced(piece):
                yield part

    async def _paced(self, piece: memoryview) -> AsyncIterator[memoryview]:
        """The piece in parts, each as soon as it may be sent."""
        while piece:
            count = await self._rate.may_send(self._registry, len(piece))
            self._on_sent(count)
            yield piece[:count]
            piece = piece[count:]

    async def _note(self, session: UploadSession) -> None:
        """Note where to resume, in case the upload is interrupted."""
        self._open_uploads.add(self._place, lambda: self._abandon(session))
        await self._ledger.remember_upload(*self._place, str(session.location))

    async def _forget(self) -> None:
        self._open_uploads.remove(self._place)
        await self._ledger.forget_upload(*self._place)

    async def _abandon(self, session: UploadSession) -> None:
        await self._forget()
        await self._uploads.abandon(session)

    async def _abandon_started(self, starting: asyncio.Task[UploadSession]) -> None:
        with suppress(RegistryError):
            await self._uploads.abandon(await starting)


def _hear(task: asyncio.Task[UploadSession]) -> None:
    """Keep asyncio from logging an error of a task for which nobody waits any more."""
    if not task.cancelled():
        task.exception()


def _can_go_on(error: ResponseError) -> bool:
    """Whether the next try can resume the upload session."""
    return error.retryable and not isinstance(error, UploadUnknownError | DigestMismatchError)
