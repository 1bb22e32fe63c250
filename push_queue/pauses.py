"""The pauses that people set, in ``push:registry:paused``."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from push_queue.jobs.codec import one_line
from push_queue.models.pause import WHOLE_QUEUE, Pause, is_registry
from push_queue.redis.database import Arguments, Database


class Pauses:
    """The pauses of one namespace: of registries by their hosts, and of what ``pause`` names.

    Every method raises :class:`RedisUnavailableError` when Redis fails, and may be called twice.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = database.keys

    async def pause(
        self,
        what: str,
        *,
        seconds: int | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> Pause:
        """Pause it for these seconds from now, or without end. This replaces another such pause."""
        milliseconds = "" if seconds is None else seconds * 1000
        arguments: Arguments = [what, milliseconds, by or "", one_line(reason or "")]
        stored = await self._database.run("plain/pause", [self._keys.paused], arguments)
        return Pause.read(json.loads(stored))

    async def resume(self, what: str) -> None:
        """End the pause, if there is one. That of a registry ends also if the registry began it."""
        async with self._database.pipeline(transaction=True) as pipeline:
            pipeline.hdel(self._keys.paused, what)
            if is_registry(what):
                pipeline.unlink(self._keys.pause(what))
            await pipeline.execute()

    async def forget_past(self) -> int:
        """Forget those that are over. Returns how many there were."""
        count: int = await self._database.run("plain/forget_pauses", [self._keys.paused], [])
        return count

    async def all(self) -> Mapping[str, Pause]:
        """Those that hold now."""
        async with self._database.pipeline() as pipeline:
            pipeline.time()
            pipeline.hgetall(self._keys.paused)
            (seconds, micros), stored = await pipeline.execute()
        now = datetime.fromtimestamp(seconds + micros / 1_000_000, UTC)
        pauses = {what.decode(): _read(text) for what, text in stored.items()}
        return {what: pause for what, pause in pauses.items() if pause and pause.holds_at(now)}

    async def of_queue(self) -> Pause | None:
        """The pause of the whole queue."""
        return (await self.all()).get(WHOLE_QUEUE)


def _read(stored: bytes) -> Pause | None:
    """None for one that somebody has written by hand, and that makes no sense."""
    try:
        return Pause.read(json.loads(stored))
    except (ValueError, TypeError, OverflowError):
        return None
