"""Brings single blobs to one repository, by the cheapest way that works."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress

from yarl import URL

from ..exceptions import (
    DigestMismatchError,
    RegistryError,
    ResponseError,
    UploadUnknownError,
)
from ..http.registry import Registry, UploadSession
from ..models import BlobInfo
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

    @property
    def host(self) -> str:
        return self.registry.host

    def report(self, source: BlobSource, done: int, state: BlobState) -> None:
        self._on_progress(BlobProgress(self.repository, source.digest, source.size, done, state))

    async def find(self, source: BlobSource, blob: BlobInfo | None) -> bool:
        """Have the blob without sending it: it is there already, or in a repository near by."""
        if blob is None:
            return False
        if await self.registry.blob_size(self.repository, blob.digest) is not None:
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
        await self.registry.finish_upload(session, blob.digest, content)
        self._uploads.remove(self._place(source))
        await self._sent(source, blob)

    async def send_stream(
        self,
        source: BlobSource,
        pieces: AsyncIterable[memoryview],
        finished: Callable[[], Awaitable[BlobInfo]],
    ) -> None:
        """Send a blob in one PATCH between POST and PUT, from where an interrupted one stopped.

        ``finished`` gives the descriptor once all ``pieces`` have been taken.
        """
        session, offset = await self._open(source)
        try:
            await self.registry.upload_blocks(session, _skip(pieces, offset))
            blob = await finished()
            await self.registry.finish_upload(session, blob.digest)
        except ResponseError as error:
            if not _can_go_on(error):
                await self._abandon(source, session)
            raise
        await self._close(source)
        await self._sent(source, blob)

    async def _open(self, source: BlobSource) -> tuple[UploadSession, int]:
        """A session to go on with, and the bytes that the registry holds of it."""
        location = await self._ledger.upload(self.host, self.repository, source.key)
        if location:
            session = UploadSession(self.repository, URL(location, encoded=True))
            try:
                if offset := await self.registry.upload_offset(session):
                    self._keep(source, session)
                    return session, offset
            except ResponseError as error:
                if _can_go_on(error):
                    raise
            await self._abandon(source, session)
        session = await self._start(source)
        self._keep(source, session)
        await self._ledger.remember_upload(
            self.host, self.repository, source.key, str(session.location)
        )
        return session, 0

    async def _start(self, source: BlobSource) -> UploadSession:
        """Open a session; the registry may do so even when we are cancelled before it answers."""
        starting = asyncio.create_task(self.registry.start_upload(self.repository))
        self._uploads.add(self._place(source), lambda: self._abandon_started(starting))
        try:
            return await asyncio.shield(starting)
        except RegistryError:
            self._uploads.remove(self._place(source))
            raise

    async def _abandon_started(self, starting: asyncio.Task[UploadSession]) -> None:
        with suppress(RegistryError):
            await self.registry.abandon_upload(await starting)

    def _keep(self, source: BlobSource, session: UploadSession) -> None:
        self._uploads.add(self._place(source), lambda: self._abandon(source, session))

    async def _abandon(self, source: BlobSource, session: UploadSession) -> None:
        await self._close(source)
        await self.registry.abandon_upload(session)

    async def _close(self, source: BlobSource) -> None:
        self._uploads.remove(self._place(source))
        await self._ledger.forget_upload(self.host, self.repository, source.key)

    def _place(self, source: BlobSource) -> tuple[str, str, str]:
        return self.host, self.repository, source.key

    async def _mount(self, digest: str) -> bool:
        for other in await self._ledger.repositories(self.host, digest):
            if other == self.repository:
                continue
            try:
                declined = await self.registry.mount(self.repository, digest, other)
            except ResponseError as error:
                if error.retryable:
                    raise
                # We may not pull there; that is no reason to fail.
            else:
                if declined is None:
                    return True
                await self.registry.abandon_upload(declined)
            await self._ledger.forget_repository(self.host, other, digest)
        return False

    async def _sent(self, source: BlobSource, blob: BlobInfo) -> None:
        await self._remember(blob)
        self.report(source, source.size, BlobState.UPLOADED)

    async def _remember(self, blob: BlobInfo) -> None:
        await self._ledger.remember_repository(self.host, self.repository, blob.digest)


def _can_go_on(error: ResponseError) -> bool:
    """Whether the upload session is still of use; the next try goes on with it then."""
    return error.retryable and not isinstance(error, (UploadUnknownError, DigestMismatchError))


async def _skip(pieces: AsyncIterable[memoryview], count: int) -> AsyncIterator[memoryview]:
    """The pieces without their first ``count`` bytes, which the registry has already."""
    async for piece in pieces:
        if count < len(piece):
            yield piece[count:] if count else piece
        count = max(0, count - len(piece))
