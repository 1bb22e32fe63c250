"""What workers share about a registry: its upload slots, and its pauses."""

from push_queue.database import Arguments, Database

FIRST_PAUSE_MS = 1000
LONGEST_PAUSE_MS = 30_000


class RegistryLimits:
    """The blob uploads and pauses of registries, each named by its host in references."""

    def __init__(self, database: Database, max_uploads: int) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._max_uploads = max_uploads

    async def take_slot(self, registry: str, token: str, seconds: float) -> float:
        """Take one of the registry's upload slots for ``seconds``, or renew it.

        Returns 0 once it is ours, else the seconds after which to ask again, negated if the
        registry asks for a pause.
        """
        keys = [self._keys.slots(registry), self._keys.pause(registry)]
        arguments: Arguments = [self._keys.namespace, token, self._max_uploads, int(seconds * 1000)]
        milliseconds: int = await self._database.run("registry/take_slot", keys, arguments)
        return milliseconds / 1000

    async def give_slot_back(self, registry: str, token: str) -> None:
        await self._database.ask(self._redis.zrem(self._keys.slots(registry), token))

    async def pause(
        self,
        registry: str,
        reason: str,
        seconds: float | None = None,
        *,
        kind: str = "registry_unavailable",
    ) -> float:
        """Stop all workers from using the registry for ``seconds``.

        Without a number the pause grows with each failure in a row: 1, 2, 4 … 30 s. Returns how
        many seconds it lasts from now. Jobs that give up meanwhile fail with ``reason`` and
        ``kind``.
        """
        arguments: Arguments = [
            self._keys.namespace,
            registry,
            reason,
            kind,
            int((seconds or 0) * 1000),
            FIRST_PAUSE_MS,
            LONGEST_PAUSE_MS,
        ]
        keys = [self._keys.pause(registry)]
        milliseconds: int = await self._database.run("registry/pause", keys, arguments)
        return milliseconds / 1000
