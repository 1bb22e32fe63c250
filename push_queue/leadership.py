"""Which of many workers does what only one should do."""

from redis.asyncio import Redis
from redis.exceptions import LockNotOwnedError

from push_queue.redis_errors import address_of, redis_errors


class Leadership:
    """A lock on ``key`` that is a lease of so many ``seconds``: who dies with it loses it."""

    def __init__(self, redis: Redis, key: str, seconds: float) -> None:
        self._lock = redis.lock(key, timeout=seconds, blocking=False)
        self._address = address_of(redis)

    async def held(self) -> bool:
        """Take it if it is free, renew it if it is ours; ask again before the time is up."""
        with redis_errors(self._address):
            try:
                if self._lock.local.token:
                    return bool(await self._lock.reacquire())
            except LockNotOwnedError:
                pass
            return bool(await self._lock.acquire())
