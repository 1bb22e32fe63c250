"""What this user's pushes know about blobs, kept in a file from one process to the next."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from ..descriptors import BlobInfo
from .ledger import MemoryLedger

if TYPE_CHECKING:
    from .ledger_file import LedgerFile

T = TypeVar("T")


class DiskLedger(MemoryLedger):
    """A ``BlobLedger`` in a ``folder``, which it makes; several processes may share it.

    The folder has to be on a disk of this machine, as SQLite's WAL does not work over a network.

    Claims and interrupted uploads are of this process alone: another process may still be sending
    to a session that it noted.

    A push does not fail because the file cannot be used. It goes on without it, and ``trouble``
    says why in one line. Use as an async context manager, or close it.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.trouble = ""
        self._folder = Path(folder)
        self._file: LedgerFile | None = None
        # One thread of its own: a locked file then holds up neither the event loop nor the engine's
        # threads.
        self._thread = ThreadPoolExecutor(1, "ledger")

    async def encoded(self, key: str) -> BlobInfo | None:
        return await super().encoded(key) or await self._ask(lambda file: file.encoded(key))

    async def remember_encoded(self, key: str, blob: BlobInfo) -> None:
        await super().remember_encoded(key, blob)
        await self._ask(lambda file: file.remember_encoded(key, blob))

    async def repositories(self, registry: str, digest: str) -> Collection[str]:
        known = await super().repositories(registry, digest)
        return known or await self._ask(lambda file: file.repositories(registry, digest)) or ()

    async def remember_repository(self, registry: str, repository: str, digest: str) -> None:
        await super().remember_repository(registry, repository, digest)
        await self._ask(lambda file: file.remember_repository(registry, repository, digest))

    async def forget_repository(self, registry: str, repository: str, digest: str) -> None:
        await super().forget_repository(registry, repository, digest)
        await self._ask(lambda file: file.forget_repository(registry, repository, digest))

    async def close(self) -> None:
        if self._file:
            await self._on_thread(self._file.close)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, question: Callable[["LedgerFile"], T]) -> T | None:
        """The file's answer, or None from the first failure on."""
        return None if self.trouble else await self._on_thread(self._answer, question)

    async def _on_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _answer(self, question: Callable[["LedgerFile"], T]) -> T | None:
        try:
            # Loaded only where it is used; and some Pythons lack SQLite.
            from .ledger_file import FAILURES, LedgerFile, discard_damaged
        except ImportError as error:
            self._give_up(error)
            return None
        try:
            self._file = self._file or LedgerFile(self._folder)
            return question(self._file)
        except FAILURES as error:
            self._give_up(error)
            with suppress(*FAILURES):
                if discard_damaged(self._folder, error):
                    self.trouble += "; it was deleted"
                elif self._folder.exists():
                    self.trouble += "; if this goes on, delete that folder"
            return None

    def _give_up(self, error: Exception) -> None:
        why = (isinstance(error, OSError) and error.strerror) or error
        self.trouble = f"the notes of earlier pushes in {self._folder} are not used: {why}"
