"""What workers agree on about a registry: uploads at the same time, and when to leave it alone."""

from redis.asyncio import Redis

from push_queue.keys import Keys
from push_queue.redis_errors import address_of, redis_errors
from push_queue.scripts import Scripts

FIRST_PAUSE_MS = 1000
LONGEST_PAUSE_MS = 30_000


class RegistryLimits:
    """The blob uploads and pauses of registries, by their host in references."""

    def __init__(self, redis: Redis, keys: Keys, max_uploads: int) -> None:
        self._redis = redis
        self._keys = keys
        self._max_uploads = max_uploads
        self._scripts = Scripts(redis)
        self._address = address_of(redis)

    async def take_slot(self, registry: str, token: str, seconds: float) -> float:
        """Take one of the registry's upload slots for so many ``seconds``, or renew it.

        Returns 0 when it is taken, else the seconds after which to ask again; negative when the
        registry wants a pause.
        """
        keys = [self._keys.slots(registry), self._keys.pause(registry)]
        arguments: list[str | int] = [token, self._max_uploads, int(seconds * 1000)]
        milliseconds: int = await self._scripts.run("take_slot", keys, arguments)
        return milliseconds / 1000

    async def give_slot_back(self, registry: str, token: str) -> None:
        with redis_errors(self._address):
            await self._redis.zrem(self._keys.slots(registry), token)

    async def pause(
        self,
        registry: str,
        reason: str,
        seconds: float | None = None,
        *,
        kind: str = "registry_unavailable",
    ) -> float:
        """Have all workers leave the registry alone for so many ``seconds``.

        Without a number the pause is the longer, the more often the registry has failed in a row:
        1, 2, 4 … 30 s. Returns how long it lasts from now. ``reason`` and ``kind`` are the error of
        the jobs that give up meanwhile.
        """
        asked = int((seconds or 0) * 1000)
        arguments: list[str | int] = [reason, asked, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, kind]
        milliseconds: int = await self._scripts.run(
            "pause", [self._keys.pause(registry)], arguments
        )
        return milliseconds / 1000
