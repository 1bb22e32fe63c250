"""How the queue is doing, in a few figures."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from push_queue.arq_queue import LEADS
from push_queue.database import Database
from push_queue.jobs import Jobs
from push_queue.models import JobState
from push_queue.pause import Pause
from push_queue.pauses import Pauses
from push_queue.throughput import Minute, Throughput


class HourStats(BaseModel):
    """What all workers have done in the last hour."""

    model_config = ConfigDict(frozen=True)

    succeeded: NonNegativeInt = 0
    failed: NonNegativeInt = 0
    failures: dict[str, NonNegativeInt] = {}
    """The jobs that failed, by the kind of their error."""
    bytes_sent: NonNegativeInt = 0
    bytes_saved: NonNegativeInt = 0
    """Of the jobs that succeeded: what they did not need to send."""

    @classmethod
    def of(cls, minutes: Iterable[Minute]) -> Self:
        """The sum of these minutes."""
        sums = dict.fromkeys(("succeeded", "failed", "bytes_sent", "bytes_saved"), 0)
        failures: dict[str, int] = {}
        for minute in minutes:
            for name in sums:
                sums[name] += getattr(minute, name)
            for kind, count in minute.failures.items():
                failures[kind] = failures.get(kind, 0) + count
        most_first = sorted(failures.items(), key=lambda item: (-item[1], item[0]))
        return cls.model_validate({**sums, "failures": dict(most_first)})


class QueueStats(BaseModel):
    """The figures of one moment, and those of the last hour."""

    model_config = ConfigDict(frozen=True)

    jobs: dict[JobState, NonNegativeInt]
    """How many are in each state. Finished ones are those that are still kept."""
    due: NonNegativeInt
    """Jobs that only wait for a worker."""
    oldest_due_seconds: float | None
    """For how long the first of them has been due; None if there are none."""
    last_hour: HourStats
    pause: Pause | None = None
    """Of the whole queue, set by a person."""


class QueueFigures:
    """The figures of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._jobs = Jobs(database)
        self._pauses = Pauses(database)
        self._throughput = Throughput(database)

    async def read(self) -> QueueStats:
        """The figures now. The time that it takes does not grow with the number of jobs."""
        now_ms = await self._now_ms()
        due, oldest_ms = await self._due(now_ms)
        return QueueStats(
            jobs=await self._jobs.counts(),
            due=due,
            oldest_due_seconds=None if oldest_ms is None else (now_ms - oldest_ms) / 1000,
            pause=await self._pauses.of_queue(),
            last_hour=HourStats.of(await self._throughput.last_hour()),
        )

    async def _due(self, now_ms: int) -> tuple[int, float | None]:
        """How many jobs are due, and since when the first of them is."""
        async with self._database.pipeline() as pipeline:
            for priority in LEADS:
                pipeline.zcount(self._keys.due(priority), "-inf", now_ms)
                pipeline.zrange(self._keys.due(priority), 0, 0, withscores=True)
            replies = await pipeline.execute()
        since = [score for first in replies[1::2] for _, score in first if score <= now_ms]
        return sum(replies[::2]), min(since, default=None)

    async def _now_ms(self) -> int:
        seconds, micros = await self._database.ask(self._redis.time())
        return int(seconds) * 1000 + int(micros) // 1000
