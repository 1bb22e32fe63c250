"""Valkey, workers and a producer of one queue, for as long as a run lasts."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import redis
from arq.constants import retry_key_prefix

from ..errors import ContenderError
from ..programs import POLL_SECONDS
from ..servers.process import keep_waiting, server
from ..servers.valkey import valkey
from .queues import (
    ENQUEUED_AT_ONCE,
    MOST_SECONDS,
    BenchmarkedQueue,
    OurQueue,
    PlainArq,
    WorkerSetup,
    enqueue_all,
)

T = TypeVar("T")

QueueClass = type[OurQueue] | type[PlainArq]


class QueueBench:
    """One queue on a Valkey of its own; ``redis`` observes it."""

    def __init__(
        self,
        queue: BenchmarkedQueue,
        redis_url: str,
        observer: Any,
        folder: Path,
        stack: ExitStack,
    ) -> None:
        self.queue = queue
        self.redis_url = redis_url
        self.redis = observer  # Any: redis-py types its commands for its asynchronous client, too
        self._folder = folder
        self._stack = stack
        self._workers = 0

    async def start_workers(
        self, count: int = 1, setup: WorkerSetup | None = None
    ) -> list[subprocess.Popen[bytes]]:
        """Start workers and wait until they take jobs."""
        command = self.queue.worker(self.redis_url, setup or WorkerSetup())
        started = []
        for _ in range(count):
            self._workers += 1
            log = self._folder / f"worker-{self._workers}.log"
            worker = self._stack.enter_context(server(command.argv, log, **command.environment))
            started.append((worker, log))
        since = time.monotonic()
        for worker, log in started:
            while self.queue.ready_word not in log.read_text():
                keep_waiting(worker, log, since)
                await asyncio.sleep(POLL_SECONDS)
        return [worker for worker, _ in started]

    async def enqueue(self, jobs: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Enqueue jobs, some at the same time; what each returns, in order."""
        return await enqueue_all(jobs, ENQUEUED_AT_ONCE)

    async def all_ended(self) -> None:
        """Wait until no job is left."""
        await self.until(lambda: self.waiting() == 0)

    def waiting(self) -> int:
        """Jobs that have not ended."""
        return int(self.redis.zcard(self.queue.key))

    def ended(self, job_id: str) -> bool:
        """Whether the job is no longer in the queue."""
        return self.redis.zscore(self.queue.key, self.queue.arq_id(job_id)) is None

    def starts(self, job_id: str) -> int:
        """How often arq has started a job that has not ended."""
        return int(self.redis.get(retry_key_prefix + self.queue.arq_id(job_id)) or 0)

    def memory(self) -> int:
        """Bytes that Valkey uses for data."""
        return int(self.redis.info("memory")["used_memory_dataset"])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Raises ContenderError if the condition never holds."""
        deadline = time.monotonic() + MOST_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise ContenderError(f"not done after {MOST_SECONDS:g} s")
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def queue_bench(queue_class: QueueClass, parent: Path) -> AsyncIterator[QueueBench]:
    """Open a queue without workers; nothing is left behind.

    Raises:
        ContenderError: Valkey cannot be started.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="queue-", dir=parent)))
        redis_url = stack.enter_context(valkey(folder))
        observer = stack.enter_context(
            redis.Redis.from_url(redis_url, single_connection_client=True, decode_responses=True)
        )
        async with queue_class.open(redis_url) as queue:
            yield QueueBench(queue, redis_url, observer, folder, stack)
