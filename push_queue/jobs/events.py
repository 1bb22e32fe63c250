"""The stream of every change of state, in order; the latest thousands are kept."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from push_queue.jobs.codec import decode
from push_queue.models.job_status import JobState
from push_queue.redis.database import Database

POSITION = r"^[0-9]{1,20}-[0-9]{1,20}$"
_LARGEST = 2**64 - 1


class Position(NamedTuple):
    """A place in the stream: that of an event, or the end."""

    milliseconds: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``milliseconds-number``, as Redis writes it.

        Raises:
            ValueError: it is not of that form.
        """
        if not re.fullmatch(POSITION, text):
            raise ValueError(f"{text[:50]!r} is no id of an event")
        milliseconds, number = map(int, text.split("-"))
        if max(milliseconds, number) > _LARGEST:
            raise ValueError(f"{text!r} is no id of an event")
        return cls(milliseconds, number)

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.number}"


START = Position(0, 0)
"""Before all events."""


class JobEvent(BaseModel):
    """A job has entered a state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    """The job's id."""
    state: JobState
    """The state that it has entered."""
    attempt: NonNegativeInt
    """The number of the job's latest attempt."""
    at: datetime
    """When, by Redis' clock."""


class PlacedEvent(NamedTuple):
    """An event and its place in the stream."""

    position: Position
    event: JobEvent


class JobEvents:
    """The events of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._key = database.keys.events

    async def first(self) -> Position:
        """The place of the oldest event that is still kept."""
        return _place(await self._database.ask(self._redis.xrange(self._key, count=1)))

    async def last(self) -> Position:
        """The place of the latest event."""
        return _place(await self._database.ask(self._redis.xrevrange(self._key, count=1)))

    async def after(
        self, position: Position, *, limit: int, wait: float = 0
    ) -> tuple[tuple[PlacedEvent, ...], Position]:
        """The next events, oldest first, and the place to continue from.

        If there are none yet, waits up to ``wait`` seconds for one, on a connection of its own.
        """
        block = int(wait * 1000) or None
        answer = await self._database.ask(
            self._redis.xread({self._key: str(position)}, count=limit, block=block)
        )
        entries = [entry for _, found in answer for entry in found]
        reached = Position.parse(entries[-1][0].decode()) if entries else position
        return tuple(_placed(entries)), reached


def _place(entries: Sequence[tuple[bytes, object]]) -> Position:
    return Position.parse(entries[0][0].decode()) if entries else START


def _placed(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> Iterator[PlacedEvent]:
    """Unreadable entries are left out."""
    for place, fields in entries:
        with suppress(ValidationError):
            event = JobEvent.model_validate(decode(fields))
            yield PlacedEvent(Position.parse(place.decode()), event)
