"""The threads and buffers that all uploads of a process share, and their bounds."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from ..observer import NOBODY, Observer
from .compression import BLOCK_SIZE

T = TypeVar("T")

_DEPTH = 4
"""The most blocks that one upload reads ahead."""
_MOST_WAITING = 64
"""Threads that wait for servers of tars at once."""


class BlockPool:
    """Threads that read, compress and hash, and a bounded number of block buffers.

    ``observer`` hears what they have encoded.
    """

    def __init__(self, observer: Observer = NOBODY) -> None:
        self.observer = observer
        cores = os.cpu_count() or 1
        # One thread more than cores: one of them may be waiting for the disk.
        self._threads = ThreadPoolExecutor(cores + 1, thread_name_prefix="blocks")
        # Waiting for a server must not keep others from work.
        self._waiting = ThreadPoolExecutor(_MOST_WAITING, thread_name_prefix="remote")
        self._spare = 2 * cores

    def start(self, work: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Start blocking work on a thread."""
        return _start_on(self._threads, work, *args)

    def start_reading(self, remote: bool, work: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Start work that reads a tar, which may be ``remote``."""
        threads = self._waiting if remote else self._threads
        return _start_on(threads, work, *args)

    def borrow(self) -> "Buffers":
        """Buffers for one upload: one of its own, and more while the pool has spare ones.

        An upload that waits for a slow registry thus does not hold up the others.
        """
        return Buffers(self)

    def close(self) -> None:
        for threads in (self._threads, self._waiting):
            threads.shutdown(wait=False, cancel_futures=True)

    def take_spare(self) -> bool:
        if not self._spare:
            return False
        self._spare -= 1
        return True

    def return_spare(self, count: int) -> None:
        self._spare += count


class Buffers:
    """One upload's buffers, for one task. ``give_back`` each one after use."""

    def __init__(self, pool: BlockPool) -> None:
        self._pool = pool
        self._free: asyncio.Queue[bytearray] = asyncio.Queue()
        self._free.put_nowait(bytearray(BLOCK_SIZE))
        self._spare = 0

    async def take(self) -> bytearray:
        if self._free.empty() and self._spare < _DEPTH - 1 and self._pool.take_spare():
            self._spare += 1
            return bytearray(BLOCK_SIZE)
        return await self._free.get()

    def give_back(self, buffer: bytearray) -> None:
        self._free.put_nowait(buffer)

    def close(self) -> None:
        self._pool.return_spare(self._spare)
        self._spare = 0


def _start_on(threads: ThreadPoolExecutor, work: Callable[..., T], *args: Any) -> asyncio.Future[T]:
    # In the context of the task: lines of the log say which job they are about.
    return asyncio.wrap_future(threads.submit(copy_context().run, work, *args))
