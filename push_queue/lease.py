"""What one process has at a time, until it gives it back or is not heard of for too long."""

from contextlib import suppress

from redis.exceptions import LockNotOwnedError

from push_queue.database import Database


class Lease:
    """The right to what ``key`` stands for. It runs out ``seconds`` after it was last renewed.

    Every method raises :class:`~push_queue.RedisUnavailableError` when Redis fails it.
    """

    def __init__(self, database: Database, key: str, seconds: float) -> None:
        self._database = database
        self._lock = database.redis.lock(key, timeout=seconds, blocking=False)

    async def take(self) -> bool:
        """False when somebody has it."""
        return bool(await self._database.ask(self._lock.acquire()))

    async def renew(self) -> bool:
        """False when it was not taken, or has run out."""
        if not self._lock.local.token:
            return False
        with self._database.errors(), suppress(LockNotOwnedError):
            return bool(await self._lock.reacquire())
        return False

    async def held(self) -> bool:
        """Renew it, or take it if nobody has it; ask again before the time is up."""
        return await self.renew() or await self.take()

    async def give_back(self) -> None:
        """It is free again, unless it was somebody else's by now."""
        if self._lock.local.token:
            with self._database.errors(), suppress(LockNotOwnedError):
                await self._lock.release()
