"""The changes of state of all jobs, read from Redis once for all who follow them."""

import asyncio
from collections import deque
from contextlib import suppress
from itertools import takewhile

from producer.queue import PushQueue
from push_queue.errors import RedisUnavailableError
from push_queue.job_events import PlacedEvent, Position

MOST_READ = 500
"""Events in one answer of Redis."""
KEPT = 5000
"""Events that those may be behind who take none from Redis themselves."""
_READ_SECONDS = 2.0
"""Less than a connection's answer may take."""
_AWAY_SECONDS = 1.0


class EventHub:
    """Reads the stream of events in one task, and keeps the latest for everybody.

    Who follows them keeps a position only, so that a slow one costs no memory.
    """

    def __init__(self, queue: PushQueue, position: Position) -> None:
        self._queue = queue
        self._kept: deque[PlacedEvent] = deque(maxlen=KEPT)
        self._complete_after = position
        self._news = asyncio.Event()
        self.position = position
        """Where the latest event stands that was heard of."""
        self.ended = False
        """Nobody shall wait any more."""

    async def run(self) -> None:
        """Read until cancelled; while Redis is away there is nothing to hear."""
        while True:
            try:
                events, reached = await self._queue.events(
                    self.position, limit=MOST_READ, wait=_READ_SECONDS
                )
            except RedisUnavailableError:
                await asyncio.sleep(_AWAY_SECONDS)
            else:
                self._keep(events, reached)

    def end(self) -> None:
        """Have all who wait come back at once."""
        self.ended = True
        self._tell()

    async def next_after(
        self, position: Position, seconds: float
    ) -> tuple[tuple[PlacedEvent, ...], Position]:
        """The next events and where to go on; none if these seconds brought none.

        Raises:
            RedisUnavailableError: they are older than what is kept here, and Redis is away.
        """
        if position < self._complete_after:
            return await self._queue.events(position, limit=MOST_READ)
        if position >= self.position and not self.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
        newer = takewhile(lambda placed: placed.position > position, reversed(self._kept))
        return tuple(newer)[::-1], max(position, self.position)

    async def change_of(self, job_id: str, position: Position, seconds: float) -> Position:
        """Wait for the job's next event, so many seconds at most; where to go on.

        Raises:
            RedisUnavailableError: as ``next_after``.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    events, position = await self.next_after(position, seconds)
                    if any(placed.event.id == job_id for placed in events):
                        break
        return position

    def _keep(self, events: tuple[PlacedEvent, ...], reached: Position) -> None:
        for placed in events:
            if len(self._kept) == KEPT:
                self._complete_after = self._kept[0].position
            self._kept.append(placed)
        self.position = reached
        if events:
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
