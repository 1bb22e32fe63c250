"""Brings single blobs to one repository, by the cheapest way that works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ..digests import sha256
from ..exceptions import ResponseError
from ..http.registry import Registry, UploadSession
from ..models import BlobInfo
from ..retry import RetryPolicy, retrying
from .blocks import BlockPool
from .encoding import AsIs
from .ledger import BlobLedger
from .progress import BlobProgress, BlobState, OnProgress
from .sources import BlobSource, LayerSource

_ABANDON_SECONDS = 5.0


class BlobUploader:
    """Brings blobs to ``repository`` of ``registry``.

    ``slots`` bounds how many are sent at the same time in the whole process.
    """

    def __init__(
        self,
        registry: Registry,
        repository: str,
        *,
        ledger: BlobLedger,
        slots: asyncio.Semaphore,
        pool: BlockPool,
        retry: RetryPolicy,
        on_progress: OnProgress,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._ledger = ledger
        self._slots = slots
        self._pool = pool
        self._retry = retry
        self._on_progress = on_progress

    async def known(self, source: BlobSource) -> BlobInfo | None:
        """What the source will be once encoded, as far as that is known without encoding it."""
        if source.encoder is AsIs:
            return BlobInfo(source.digest, source.size, source.media_type)
        return await self._ledger.encoded(source.digest, source.encoder.name)

    async def bring(self, source: BlobSource) -> BlobInfo:
        """Have the blob in the repository when this returns, and give its descriptor.

        Raises:
            TarReadError: the archive is broken or not what its digests say.
            RegistryError: the registry failed, after the retries that can help.
        """
        return await retrying(self._retry, lambda: self._bring(source))

    def report(self, source: BlobSource, done: int, state: BlobState) -> None:
        self._on_progress(BlobProgress(self._repository, source.digest, source.size, done, state))

    async def _bring(self, source: BlobSource) -> BlobInfo:
        blob = await self.known(source)
        if blob and await self._is_there(source, blob):
            return blob
        key = f"{source.digest}/{source.encoder.name}"
        async with self._ledger.claim(self._registry.host, key) as waited:
            if waited:
                blob = await self.known(source)
                if blob and await self._is_there(source, blob):
                    return blob
            async with self._slots:
                blob = await self._upload(source, blob)
            if source.encoder is not AsIs:
                await self._ledger.remember_encoded(source.digest, source.encoder.name, blob)
            await self._remember(blob)
        return blob

    async def _is_there(self, source: BlobSource, blob: BlobInfo) -> bool:
        """Look for the blob in the repository, then for one to mount it from."""
        if await self._registry.blob_size(self._repository, blob.digest) is not None:
            state = BlobState.EXISTS
        elif await self._mount(blob.digest):
            state = BlobState.MOUNTED
        else:
            return False
        await self._remember(blob)
        self.report(source, source.size, state)
        return True

    async def _mount(self, digest: str) -> bool:
        for other in await self._ledger.repositories(self._registry.host, digest):
            if other != self._repository:
                try:
                    session = await self._registry.mount(self._repository, digest, other)
                except ResponseError as error:
                    if error.retryable:
                        raise
                    session = None  # may not pull there: not a reason to fail
                else:
                    if session is None:
                        return True
                    await self._registry.abandon_upload(session)
            await self._ledger.forget_repository(self._registry.host, other, digest)
        return False

    async def _upload(self, source: BlobSource, known: BlobInfo | None) -> BlobInfo:
        self.report(source, 0, BlobState.UPLOADING)
        if isinstance(source, LayerSource) and not source.small:
            return await self._upload_stream(source)
        return await self._upload_whole(source, known)

    async def _upload_whole(self, source: BlobSource, known: BlobInfo | None) -> BlobInfo:
        """POST and PUT: once a small blob is encoded, its digest can be asked for."""
        content = await self._pool.start(source.read)
        blob = BlobInfo(sha256(content), len(content), source.media_type)
        if blob != known and await self._is_there(source, blob):
            return blob
        async with self._session() as session:
            await self._registry.finish_upload(session, blob.digest, content)
        self.report(source, source.size, BlobState.UPLOADED)
        return blob

    async def _upload_stream(self, source: LayerSource) -> BlobInfo:
        """POST, PATCH and PUT, in one pass over the layer."""
        sent = 0

        def on_sent(length: int) -> None:
            nonlocal sent
            sent += length
            self.report(source, sent, BlobState.UPLOADING)

        stream = await self._pool.start(source.stream, self._pool, on_sent)
        async with stream, self._session() as session:
            await self._registry.upload_blocks(session, stream)
            await self._registry.finish_upload(session, stream.digest)
        self.report(source, source.size, BlobState.UPLOADED)
        return BlobInfo(stream.digest, stream.size, source.media_type)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[UploadSession]:
        """An upload session that does not stay behind at the registry when the upload fails."""
        session = await self._registry.start_upload(self._repository)
        try:
            yield session
        except BaseException:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ABANDON_SECONDS):
                    await self._registry.abandon_upload(session)
            raise

    async def _remember(self, blob: BlobInfo) -> None:
        await self._ledger.remember_repository(self._registry.host, self._repository, blob.digest)
