"""Which of many workers does what only one should do."""

from redis.exceptions import LockNotOwnedError

from push_queue.database import Database


class Leadership:
    """A lease of so many ``seconds``: a worker that dies with it loses it."""

    def __init__(self, database: Database, seconds: float) -> None:
        key = database.keys.housekeeper
        self._lock = database.redis.lock(key, timeout=seconds, blocking=False)
        self._database = database

    async def held(self) -> bool:
        """Take it if it is free, renew it if it is ours; ask again before the time is up."""
        with self._database.errors():
            try:
                if self._lock.local.token:
                    return bool(await self._lock.reacquire())
            except LockNotOwnedError:
                pass
            return bool(await self._lock.acquire())
