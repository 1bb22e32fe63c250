"""The events of all jobs, read from Redis once for all followers."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import NamedTuple

from producer.api.events.progress_board import ProgressBoard
from producer.api.events.stream import message
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from producer.queue_reader import QueueReader
from push_queue.errors import RedisUnavailableError
from push_queue.jobs.events import PlacedEvent, Position
from push_queue.models.job_status import JobStatus

MOST_FOLLOWERS = 500
"""Requests that wait for jobs or follow them at once; each keeps a connection."""
MOST_READ = 500
"""Events that are handed on at once."""
KEPT = 5000
"""Events that a follower may lag behind before it has to read them from Redis."""
READERS = 16
"""Followers that may read from Redis at once, each on a connection of its own."""
_READ_SECONDS = 2.0
"""Less than a connection's answer may take."""
_AWAY_SECONDS = 1.0
_GATHER_SECONDS = 0.05
"""How long to read nothing after events came. Those of a busy queue then come together, so that
each follower is woken and written to 20 times a second, and not for each event."""

_pause = asyncio.sleep


class Change(NamedTuple):
    """An event, written out once for everybody."""

    position: Position
    job_id: str
    message: bytes
    targets: tuple[str, ...]
    """The job's targets, if they were requested; none of a job that has expired."""


class News(NamedTuple):
    """The next events, oldest first."""

    changes: tuple[Change, ...]
    position: Position
    """The place to continue from."""
    complete: bool = True
    """Whether none before them has been lost."""


class EventHub:
    """Reads the stream of events in one task, and keeps the latest for everybody.

    A follower keeps only a position, so that a slow one costs no memory. Progress in between is on
    a board of its own.
    """

    def __init__(
        self, queue: QueueReader, position: Position, *, with_targets: bool = False
    ) -> None:
        self._queue = queue
        self._with_targets = with_targets
        self._kept: deque[Change] = deque(maxlen=KEPT)
        self._complete_after = position
        self._news = asyncio.Event()
        self._readers = asyncio.Semaphore(READERS)
        self._followers = 0
        self.position = position
        """The place of the latest event that was read."""
        self.progress = ProgressBoard(queue, self._tell)
        self.ended = False
        """Nobody should wait any more."""

    async def run(self) -> None:
        """Read until cancelled; while Redis is down there are no events."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_events())
            tasks.create_task(self.progress.run(lambda: self._followers > 0))

    async def _read_events(self) -> None:
        while True:
            try:
                events, reached = await self._queue.events(
                    self.position, limit=MOST_READ, wait=_READ_SECONDS
                )
                changes = await self._changes(events)
            except RedisUnavailableError:
                await asyncio.sleep(_AWAY_SECONDS)
            else:
                self._keep(changes, reached)
                if changes:
                    await _pause(_GATHER_SECONDS)

    def end(self) -> None:
        """Wake all who wait at once."""
        self.ended = True
        self._tell()

    @contextmanager
    def follower(self) -> Iterator[None]:
        """The time for which one request waits or follows.

        Raises:
            ProblemError: too many do.
        """
        if self._followers >= MOST_FOLLOWERS:
            raise ProblemError(
                ProblemType.TOO_MANY_FOLLOWERS,
                f"{MOST_FOLLOWERS} requests wait for jobs or follow them; try again later",
            )
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    async def status(self, job_id: str) -> JobStatus:
        """The job now. Only a few requests read one at a time, however many follow.

        Raises:
            UnknownJobError: no such job.
            RedisUnavailableError: Redis is down.
        """
        async with self._readers:
            return await self._queue.status(job_id)

    async def next_after(
        self, position: Position, seconds: float, shown: int | None = None
    ) -> News:
        """The next events; none if these seconds brought none, or progress alone.

        Given the number of the progress that was ``shown``, it does not wait while there is newer.

        Raises:
            RedisUnavailableError: they are older than what is kept here, and Redis is down.
        """
        if position < self._complete_after:
            return await self._read_again(position)
        all_shown = shown is None or shown >= self.progress.number
        if position >= self.position and all_shown and not self.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
        newer = list(takewhile(lambda change: change.position > position, reversed(self._kept)))
        next_ones = tuple(newer[: -MOST_READ - 1 : -1])
        at_the_end = len(next_ones) == len(newer)
        reached = max(position, self.position) if at_the_end else next_ones[-1].position
        return News(next_ones, reached)

    async def change_of(
        self, job_id: str, position: Position, seconds: float, shown: int | None = None
    ) -> tuple[Position, bytes]:
        """Wait at most ``seconds`` for the job's next event; return where to go on.

        Given the number of the progress that was ``shown``, newer progress ends the wait, too. Then
        its message is returned.

        Raises:
            RedisUnavailableError: as ``next_after``.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                heard = shown
                while not self.ended:
                    changes, position, complete = await self.next_after(position, seconds, heard)
                    if not complete or any(change.job_id == job_id for change in changes):
                        break
                    if shown is not None:
                        if progress := self.progress.of(job_id, shown):
                            return position, progress
                        heard = self.progress.number
        return position, b""

    async def _read_again(self, position: Position) -> News:
        async with self._readers:
            complete = await self._queue.first_event() <= position
            events, reached = await self._queue.events(position, limit=MOST_READ)
        return News(await self._changes(events), reached, complete)

    async def _changes(self, events: tuple[PlacedEvent, ...]) -> tuple[Change, ...]:
        targets: dict[str, tuple[str, ...]] = {}
        if self._with_targets and events:
            jobs = await self._queue.look_up({placed.event.id for placed in events})
            targets = {job_id: job.targets for job_id, job in jobs.items()}
        return tuple(_change(placed, targets.get(placed.event.id, ())) for placed in events)

    def _keep(self, changes: tuple[Change, ...], reached: Position) -> None:
        for change in changes:
            if len(self._kept) == KEPT:
                self._complete_after = self._kept[0].position
            self._kept.append(change)
        self.position = reached
        if changes:
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _change(placed: PlacedEvent, targets: tuple[str, ...]) -> Change:
    written = message("state", placed.event, placed.position)
    return Change(placed.position, placed.event.id, written, targets)
