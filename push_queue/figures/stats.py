"""How the queue is doing, in a few figures."""

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from push_queue.figures.throughput import Minute, Throughput
from push_queue.jobs.store import Jobs
from push_queue.jobs.waiting import WaitingJobs, ask_for_waiting, read_waiting
from push_queue.models.job import Priority
from push_queue.models.job_status import JobState
from push_queue.models.pause import Pause
from push_queue.pauses import Pauses
from push_queue.redis.database import Database


class HourStats(BaseModel):
    """What all workers have done in the last hour."""

    model_config = ConfigDict(frozen=True)

    succeeded: NonNegativeInt = 0
    """Jobs that succeeded."""
    failed: NonNegativeInt = 0
    """Jobs that failed."""
    failures: dict[str, NonNegativeInt] = {}
    """How many jobs failed, by the kind of their error."""
    bytes_sent: NonNegativeInt = 0
    """Bytes that were sent, compressed."""
    bytes_saved: NonNegativeInt = 0
    """Bytes that the jobs that succeeded did not need to send."""

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
    """How many jobs are in each state. Finished ones are those that are still kept."""
    due: NonNegativeInt
    """Jobs that only wait for a worker."""
    oldest_due_seconds: float | None
    """Seconds for which the first of them has been due; not set if there are none."""
    last_hour: HourStats
    """What was done in the last hour."""
    pause: Pause | None = None
    """The pause of the whole queue that a person has set; not set if there is none."""


class QueueFigures:
    """The figures of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = database.keys
        self._jobs = Jobs(database)
        self._pauses = Pauses(database)
        self._throughput = Throughput(database)

    async def read(self) -> QueueStats:
        """The figures now. The time that it takes does not grow with the number of jobs."""
        due = [waiting for waiting in (await self._waiting()).values() if waiting.due]
        return QueueStats(
            jobs=await self._jobs.counts(),
            due=sum(waiting.due for waiting in due),
            oldest_due_seconds=max((waiting.oldest_seconds for waiting in due), default=None),
            pause=await self._pauses.of_queue(),
            last_hour=HourStats.of(await self._throughput.last_hour()),
        )

    async def _waiting(self) -> Mapping[Priority, WaitingJobs]:
        now_ms = await self._database.now_ms()
        async with self._database.pipeline() as pipeline:
            ask_for_waiting(pipeline, self._keys, now_ms)
            return read_waiting(iter(await pipeline.execute()), now_ms)
