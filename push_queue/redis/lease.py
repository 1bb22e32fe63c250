"""A right that one process holds at a time, and loses unless it renews it."""

from contextlib import suppress

from redis.exceptions import LockNotOwnedError

from push_queue.redis.database import Database


class Lease:
    """The right is a Redis ``key``. It expires ``seconds`` after it was taken or renewed.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database, key: str, seconds: float) -> None:
        self._database = database
        self._lock = database.redis.lock(key, timeout=seconds, blocking=False)

    async def take(self) -> bool:
        """False if another process has it."""
        return bool(await self._database.ask(self._lock.acquire()))

    async def renew(self) -> bool:
        """False if it was not taken, or has expired."""
        if not self._lock.local.token:
            return False
        with self._database.errors(), suppress(LockNotOwnedError):
            return bool(await self._lock.reacquire())
        return False

    async def held(self) -> bool:
        """Renew it, or take it if it is free. Ask again before it runs out."""
        return await self.renew() or await self.take()

    async def give_back(self) -> None:
        """Free it, unless it has expired."""
        if self._lock.local.token:
            with self._database.errors(), suppress(LockNotOwnedError):
                await self._lock.release()
