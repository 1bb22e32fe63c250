"""What pushes learn from each other: no blob has to be compressed or uploaded twice."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from ..descriptors import BlobInfo


class BlobLedger(Protocol):
    """Shared knowledge about blobs. It may be stale: the engine asks the registry to confirm.

    ``registry`` is a host, and ``digest`` that of a blob as a registry stores it. ``key`` names a
    blob in the archive and the encoder through which it is sent.
    """

    async def encoded(self, key: str) -> BlobInfo | None:
        """The blob that ``key`` becomes when it is encoded, if that is known."""

    async def remember_encoded(self, key: str, blob: BlobInfo) -> None: ...

    async def repositories(self, registry: str, digest: str) -> Collection[str]:
        """Repositories of the registry that hold the blob."""

    async def remember_repository(self, registry: str, repository: str, digest: str) -> None: ...

    async def forget_repository(self, registry: str, repository: str, digest: str) -> None: ...

    async def upload(self, registry: str, repository: str, key: str) -> str | None:
        """Location of the session in which an upload of the blob was interrupted."""

    async def remember_upload(
        self, registry: str, repository: str, key: str, location: str
    ) -> None: ...

    async def forget_upload(self, registry: str, repository: str, key: str) -> None: ...

    def claim(self, registry: str, key: str, size: int) -> AbstractAsyncContextManager[bool]:
        """The right to upload a blob of ``size`` bytes to a registry, for one holder at a time.

        Gives True to the holder. Gives False, without the right, once another holder has given it
        up: either the blob is there now, or the right must be asked for again.
        """


class MemoryLedger:
    """Knowledge within one process, for as long as it lives."""

    def __init__(self) -> None:
        self._encoded: dict[str, BlobInfo] = {}
        self._repositories: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._uploads: dict[tuple[str, str, str], str] = {}
        self._claims = Claims()

    async def encoded(self, key: str) -> BlobInfo | None:
        return self._encoded.get(key)

    async def remember_encoded(self, key: str, blob: BlobInfo) -> None:
        self._encoded[key] = blob

    async def repositories(self, registry: str, digest: str) -> Collection[str]:
        return tuple(self._repositories.get((registry, digest), ()))

    async def remember_repository(self, registry: str, repository: str, digest: str) -> None:
        self._repositories[registry, digest][repository] = None

    async def forget_repository(self, registry: str, repository: str, digest: str) -> None:
        self._repositories[registry, digest].pop(repository, None)

    async def upload(self, registry: str, repository: str, key: str) -> str | None:
        return self._uploads.get((registry, repository, key))

    async def remember_upload(
        self, registry: str, repository: str, key: str, location: str
    ) -> None:
        self._uploads[registry, repository, key] = location

    async def forget_upload(self, registry: str, repository: str, key: str) -> None:
        self._uploads.pop((registry, repository, key), None)

    @asynccontextmanager
    async def claim(self, registry: str, key: str, size: int) -> AsyncIterator[bool]:
        async with self._claims.claim((registry, key)) as mine:
            yield mine


class Claims:
    """Claims between the tasks of one process."""

    def __init__(self) -> None:
        self._given_up: dict[Hashable, asyncio.Event] = {}

    @asynccontextmanager
    async def claim(self, key: Hashable) -> AsyncIterator[bool]:
        """Take the claim and give True, or wait until its holder gives it up and give False."""
        if holder := self._given_up.get(key):
            await holder.wait()
            yield False
            return
        given_up = self._given_up[key] = asyncio.Event()
        try:
            yield True
        finally:
            del self._given_up[key]
            given_up.set()
