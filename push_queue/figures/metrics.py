"""The figures of a whole queue, at a cost that does not grow with the number of its jobs."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from push_queue.jobs.codec import decode
from push_queue.jobs.events import JobEvents, Position
from push_queue.jobs.waiting import WaitingJobs, ask_for_waiting, read_waiting
from push_queue.models.fleet import RegistryInfo, WorkerInfo
from push_queue.models.job import Priority
from push_queue.models.job_status import JobState
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.registries.limits import RegistryLimits
from push_queue.webhook_outbox import WebhookOutbox, WebhookStatus
from push_queue.worker_roster import WorkerRoster

USED_WITHIN_SECONDS = 24 * 3600
"""How long a registry counts as used after the last upload or pause."""
MOST_REGISTRIES = 200
"""Those used last; the others are left out."""

_ENDED = "ended"


class Ended(NamedTuple):
    """A kind of end that jobs come to."""

    state: str
    error_kind: str
    """Of a failed job, else empty."""


class QueueMetrics(NamedTuple):
    """What Redis knows about the queue at one moment."""

    jobs: Mapping[JobState, int]
    waiting: Mapping[Priority, WaitingJobs]
    ended: Mapping[Ended, int]
    """Jobs that ended, since the beginning."""
    bytes_sent: int
    """By all workers, since the beginning."""
    registries: tuple[RegistryInfo, ...]
    workers: tuple[WorkerInfo, ...]
    paused: bool
    """Whether a person has paused the whole queue."""
    housekeeper_seconds: float
    """How long the housekeeper's lease lasts; 0 if nobody has it."""
    events: int
    """State changes that are kept."""
    last_event: Position
    webhooks: tuple[WebhookStatus, ...]


class _Own(NamedTuple):
    """What one round trip tells."""

    jobs: dict[JobState, int]
    waiting: Mapping[Priority, WaitingJobs]
    totals: dict[str, str]
    lease_ms: int
    events: int


class QueueReport:
    """Reads the figures of one namespace. Everything is read by key, nothing is searched for."""

    def __init__(self, database: Database, registry_max_uploads: int) -> None:
        self._database = database
        self._keys = database.keys
        self._limits = RegistryLimits(database, registry_max_uploads)
        self._workers = WorkerRoster(database)
        self._events = JobEvents(database)
        self._webhooks = WebhookOutbox(database)
        self._pauses = Pauses(database)

    async def read(self) -> QueueMetrics:
        """The figures now.

        Raises:
            RedisUnavailableError: Redis fails.
        """
        now_ms = await self._database.now_ms()
        own, registries, workers, last_event, webhooks, pause = await asyncio.gather(
            self._own(now_ms),
            self._registries(),
            self._workers.alive(),
            self._events.last(),
            self._webhooks.statuses(),
            self._pauses.of_queue(),
        )
        jobs, waiting, totals, lease_ms, events = own
        return QueueMetrics(
            jobs=jobs,
            waiting=waiting,
            ended=_ended(totals),
            bytes_sent=_number(totals.get("bytes_sent", "")),
            registries=tuple(registries),
            workers=tuple(workers),
            paused=pause is not None,
            housekeeper_seconds=max(0, lease_ms) / 1000,
            events=events,
            last_event=last_event,
            webhooks=webhooks,
        )

    async def _own(self, now_ms: int) -> _Own:
        async with self._database.pipeline() as pipeline:
            for state in JobState:
                pipeline.zcard(self._keys.jobs_in(state))
            ask_for_waiting(pipeline, self._keys, now_ms)
            pipeline.hgetall(self._keys.totals)
            pipeline.pttl(self._keys.housekeeper)
            pipeline.xlen(self._keys.events)
            replies = iter(await pipeline.execute())
        jobs = {state: next(replies) for state in JobState}
        waiting = read_waiting(replies, now_ms)
        return _Own(jobs, waiting, decode(next(replies)), next(replies), next(replies))

    async def _registries(self) -> list[RegistryInfo]:
        used, waited_for = await asyncio.gather(
            self._limits.used_within(USED_WITHIN_SECONDS, MOST_REGISTRIES),
            self._limits.held_back(),
        )
        names = list(dict.fromkeys([*sorted(waited_for), *used]))
        return await self._limits.look_at(names[:MOST_REGISTRIES])


def _ended(counted: Mapping[str, str]) -> dict[Ended, int]:
    """The totals ``ended:<state>:<error kind>``."""
    found: dict[Ended, int] = {}
    for name, number in counted.items():
        what, _, rest = name.partition(":")
        state, _, error_kind = rest.partition(":")
        if what == _ENDED:
            found[Ended(state, error_kind)] = _number(number)
    return found


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
