"""How many blobs are sent to a registry at the same time, and who is told of its failures."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from ..bounds import check_positive
from ..exceptions import RegistryError


class UploadLimits(Protocol):
    """Asked before each blob that is sent. ``registry`` is a host as references name it."""

    def slot(self, registry: str) -> AbstractAsyncContextManager[None]:
        """The right to send one blob; waits until there is one. Sees the error if that fails.

        Raises:
            NoSlotError: the push leaves out the registry's targets, and goes on with the others.
        """

    async def failed(self, error: RegistryError) -> None:
        """Called for each failure at ``error.registry``, before a retry or the end."""


class LocalLimits:
    """``max_uploads`` at once to each registry, so that a slow one does not hold up the others."""

    def __init__(self, max_uploads: int = 8) -> None:
        check_positive("max_uploads", max_uploads)
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(max_uploads)
        )

    @asynccontextmanager
    async def slot(self, registry: str) -> AsyncIterator[None]:
        async with self._slots[registry]:
            yield

    async def failed(self, error: RegistryError) -> None:
        """Nothing to do: the engine's own retries are enough for one process."""
