"""The queue as it runs for real: a Valkey, one worker process, and a producer's connection."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from producer import BlobStatus, JobState, PushQueue, QueueError, load_settings

from ..errors import ContenderError
from ..programs import POLL_SECONDS
from ..resources import peak_memory
from ..servers.process import keep_waiting, server
from ..servers.valkey import valkey
from .queues import MOST_SECONDS, NAMESPACE, Push, enqueue_all

ENQUEUED_AT_ONCE = 10


@dataclass(frozen=True)
class PushedAll:
    """Jobs that succeeded."""

    seconds: float
    """From the first enqueueing until the last state was written."""
    blobs: Sequence[BlobStatus]


class PushService:
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
        started = time.time()
        jobs = await enqueue_all(
            [partial(self._queue.enqueue, push.archive, push.target) for push in pushes],
            ENQUEUED_AT_ONCE,
        )
        ids = [job.id for job in jobs]
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
async def push_service(parent: Path) -> AsyncIterator[PushService]:
    """Start Valkey (append-only file on, as in production) and a worker; nothing is left behind.

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
                yield PushService(queue, worker.pid)
        except QueueError as error:
            raise ContenderError(str(error)) from error
