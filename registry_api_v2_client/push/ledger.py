"""What pushes know of each other: a blob compressed or uploaded once need not be so again."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from ..models import BlobInfo


class BlobLedger(Protocol):
    """Shared knowledge of blobs. It may be stale: the engine asks the registry to confirm."""

    async def encoded(self, digest: str, encoder: str) -> BlobInfo | None:
        """What ``encoder`` makes of the blob ``digest``, if that is known."""

    async def remember_encoded(self, digest: str, encoder: str, blob: BlobInfo) -> None: ...

    async def repositories(self, registry: str, digest: str) -> Collection[str]:
        """Repositories of the registry that hold the blob."""

    async def remember_repository(self, registry: str, repository: str, digest: str) -> None: ...

    async def forget_repository(self, registry: str, repository: str, digest: str) -> None: ...

    def claim(self, registry: str, key: str) -> AbstractAsyncContextManager[bool]:
        """The right to upload a blob to a registry, held by one at a time.

        Gives True when it had to be waited for: another upload may have done the work.
        """


class MemoryLedger:
    """The knowledge of one process, for as long as it lives."""

    def __init__(self) -> None:
        self._encoded: dict[tuple[str, str], BlobInfo] = {}
        self._repositories: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._claims: dict[tuple[str, str], asyncio.Lock] = {}

    async def encoded(self, digest: str, encoder: str) -> BlobInfo | None:
        return self._encoded.get((digest, encoder))

    async def remember_encoded(self, digest: str, encoder: str, blob: BlobInfo) -> None:
        self._encoded[digest, encoder] = blob

    async def repositories(self, registry: str, digest: str) -> Collection[str]:
        return tuple(self._repositories.get((registry, digest), ()))

    async def remember_repository(self, registry: str, repository: str, digest: str) -> None:
        self._repositories[registry, digest][repository] = None

    async def forget_repository(self, registry: str, repository: str, digest: str) -> None:
        self._repositories[registry, digest].pop(repository, None)

    @asynccontextmanager
    async def claim(self, registry: str, key: str) -> AsyncIterator[bool]:
        lock = self._claims.setdefault((registry, key), asyncio.Lock())
        waited = lock.locked()
        async with lock:
            yield waited
        # Whoever waits holds the lock object; the table need not.
        if not lock.locked():
            self._claims.pop((registry, key), None)
