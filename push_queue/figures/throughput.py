"""What all workers together have done in the last hour, minute by minute."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from push_queue.jobs.codec import decode
from push_queue.redis.database import Database

MINUTES = 60
_SECONDS = 60
_FAILED = "failed:"


class Minute(BaseModel):
    """What was done in one minute."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: datetime
    """Its start, by Redis' clock."""
    bytes_sent: NonNegativeInt = 0
    """Bytes that were sent, compressed."""
    succeeded: NonNegativeInt = 0
    """Jobs that succeeded."""
    failed: NonNegativeInt = 0
    """Jobs that failed."""
    bytes_saved: NonNegativeInt = 0
    """Bytes that the jobs that succeeded did not need to send."""
    failures: dict[str, NonNegativeInt] = {}
    """How many jobs failed, by the kind of their error."""


class Throughput:
    """The minutes of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = database.keys

    async def last_hour(self) -> tuple[Minute, ...]:
        """The latest ``MINUTES``, the oldest first. The last one is not over yet."""
        latest = await self._database.now_ms() // 1000 // _SECONDS
        minutes = range(latest - MINUTES + 1, latest + 1)
        async with self._database.pipeline() as pipeline:
            for minute in minutes:
                pipeline.hgetall(self._keys.minute(minute))
            hashes = await pipeline.execute()
        return tuple(
            _minute(number, decode(fields)) for number, fields in zip(minutes, hashes, strict=True)
        )


def _minute(number: int, fields: dict[str, str]) -> Minute:
    failures = {
        name.removeprefix(_FAILED): count
        for name, count in fields.items()
        if name.startswith(_FAILED)
    }
    at = datetime.fromtimestamp(number * _SECONDS, UTC)
    return Minute.model_validate({**fields, "at": at, "failures": failures})
