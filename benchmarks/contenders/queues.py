"""Two queues that do the same work: ours, and arq by itself."""

import asyncio
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import default_queue_name
from arq.jobs import Job

from producer import PushQueue, load_settings
from push_queue.models.job import Priority, PushJob
from push_queue.redis.keys import Keys

from ..errors import ContenderError
from ..model import OURS
from ..programs import Command
from . import plain_arq

T = TypeVar("T")

NAMESPACE = "benchmark"
ENQUEUED_AT_ONCE = 20
MOST_SECONDS = 600.0
"""The longest that a job may take before its benchmark is given up."""

PLAIN_ARQ = "plain arq"

_NOWHERE = "localhost:1/benchmark"
_LONG_AGO = timedelta(hours=1)
"""Less than a day, after which arq lets a job expire."""
_PAGE = 50


@dataclass(frozen=True)
class Push:
    """One image on its way to one target."""

    archive: Path
    target: str


@dataclass(frozen=True)
class Span:
    """The times of a job that has ended, in Unix seconds."""

    enqueued: float
    started: float
    finished: float


@dataclass(frozen=True)
class WorkerSetup:
    """What a benchmark asks of a worker, apart from the defaults."""

    pushes: bool = False
    """Whether it pushes images; otherwise its jobs sleep."""
    slots: int = 10
    job_seconds: int = 300
    """Seconds after which plain arq gives up a job."""


async def enqueue_all(jobs: Sequence[Callable[[], Awaitable[T]]], at_once: int) -> list[T]:
    """Enqueue jobs, ``at_once`` of them at the same time; what each returns, in order."""
    slots = asyncio.Semaphore(at_once)

    async def one(enqueue: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await enqueue()

    return list(await asyncio.gather(*map(one, jobs)))


class BenchmarkedQueue(ABC):
    """A producer's connection, and how the workers of its queue are run."""

    name: ClassVar[str]
    key: ClassVar[str]
    """The sorted set of jobs that have not ended."""
    ready_word: ClassVar[str]
    """What a worker logs once it takes jobs."""

    @abstractmethod
    async def sleep(self, seconds: float, *, urgent: bool = False, team: str = "") -> str:
        """Enqueue a job that sleeps; an urgent one goes before others. Returns its id."""

    @abstractmethod
    async def sleep_all(self, seconds: float, count: int) -> None:
        """Enqueue ``count`` sleeping jobs as fast as possible."""

    @abstractmethod
    async def push(self, push: Push) -> str:
        """Enqueue the push of an image."""

    @abstractmethod
    async def span(self, job_id: str) -> Span:
        """The times of a job that has ended."""

    @abstractmethod
    def arq_id(self, job_id: str) -> str:
        """What arq calls the job."""

    @staticmethod
    @abstractmethod
    def worker(redis_url: str, setup: WorkerSetup) -> Command:
        """The command that runs a worker."""


class OurQueue(BenchmarkedQueue):
    """A sleeping job is a push that only takes time: see ``sleeping_worker``."""

    name = OURS
    key = Keys(NAMESPACE).queue
    ready_word = "is ready"

    def __init__(self, queue: PushQueue, folder: Path) -> None:
        self._queue = queue
        self._folder = folder

    @classmethod
    @asynccontextmanager
    async def open(cls, redis_url: str) -> AsyncIterator[BenchmarkedQueue]:
        settings = load_settings(redis_url=redis_url, namespace=NAMESPACE)
        with TemporaryDirectory(prefix="sleep-") as folder:
            async with PushQueue.connect(settings) as queue:
                yield cls(queue, Path(folder))

    async def sleep(self, seconds: float, *, urgent: bool = False, team: str = "") -> str:
        priority: Priority = "high" if urgent else "normal"
        job = self._sleeping(self._source(seconds), priority, team)
        return (await self._queue.submit(job)).id

    async def sleep_all(self, seconds: float, count: int) -> None:
        source = self._source(seconds)
        await self._queue.enqueue_many(self._sleeping(source) for _ in range(count))

    async def push(self, push: Push) -> str:
        return (await self._queue.enqueue(push.archive, push.target)).id

    async def span(self, job_id: str) -> Span:
        job = await self._queue.status(job_id)
        if job.error or not job.started_at or not job.finished_at:
            raise ContenderError(f"a job {job.state}: {job.error}")
        times = (job.enqueued_at, job.started_at, job.finished_at)
        return Span(*(time.timestamp() for time in times))

    async def list_page(self) -> int:
        """Read the jobs that were enqueued last, as a page shows them; how many they are."""
        return len(await self._queue.list(limit=_PAGE))

    def arq_id(self, job_id: str) -> str:
        return Keys(NAMESPACE).arq_job_id(job_id, 0)

    @staticmethod
    def worker(redis_url: str, setup: WorkerSetup) -> Command:
        module = "worker" if setup.pushes else "benchmarks.contenders.sleeping_worker"
        environment = {
            "PUSH_QUEUE_REDIS_URL": redis_url,
            "PUSH_QUEUE_NAMESPACE": NAMESPACE,
            "PUSH_QUEUE_MAX_JOBS": str(setup.slots),
            "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
        }
        return Command([sys.executable, "-m", module], environment)

    def _source(self, seconds: float) -> Path:
        source = self._folder / str(seconds)
        source.touch()  # the worker opens it
        return source

    def _sleeping(self, source: Path, priority: Priority = "normal", team: str = "") -> PushJob:
        return self._queue.describe(
            source,
            f"{_NOWHERE}:{secrets.token_hex(8)}",
            priority=priority,
            labels={"team": team} if team else None,
        )


class PlainArq(BenchmarkedQueue):
    """arq with its defaults: see ``plain_arq``."""

    name = PLAIN_ARQ
    key = default_queue_name
    ready_word = "redis_version"

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    @classmethod
    @asynccontextmanager
    async def open(cls, redis_url: str) -> AsyncIterator[BenchmarkedQueue]:
        async with await create_pool(RedisSettings.from_dsn(redis_url)) as redis:
            yield cls(redis)

    async def sleep(self, seconds: float, *, urgent: bool = False, team: str = "") -> str:
        # arq knows no teams and no priorities, but runs first what was due first.
        due = datetime.now(UTC) - _LONG_AGO if urgent else None
        return await self._enqueue("sleep", seconds, _defer_until=due)

    async def sleep_all(self, seconds: float, count: int) -> None:
        await enqueue_all([partial(self.sleep, seconds)] * count, ENQUEUED_AT_ONCE)

    async def push(self, push: Push) -> str:
        return await self._enqueue("push", str(push.archive), push.target)

    async def span(self, job_id: str) -> Span:
        result = await Job(job_id, self._redis).result_info()
        if result is None or not result.success:
            raise ContenderError(f"a job failed: {result and result.result}")
        times = (result.enqueue_time, result.start_time, result.finish_time)
        return Span(*(time.timestamp() for time in times))

    def arq_id(self, job_id: str) -> str:
        return job_id

    @staticmethod
    def worker(redis_url: str, setup: WorkerSetup) -> Command:
        environment = {
            plain_arq.REDIS_URL: redis_url,
            plain_arq.SLOTS: str(setup.slots),
            plain_arq.TIMEOUT: str(setup.job_seconds),
        }
        return Command(
            [sys.executable, "-m", "arq", f"{plain_arq.__name__}.WorkerSettings"], environment
        )

    async def _enqueue(self, function: str, *arguments: Any, **options: Any) -> str:
        job = await self._redis.enqueue_job(function, *arguments, **options)
        if job is None:
            raise ContenderError("arq has a job of that id")
        return job.job_id
