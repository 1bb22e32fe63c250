"""What workers share about a registry: its upload slots, and its pauses."""

from collections.abc import Sequence
from datetime import UTC, datetime

from push_queue.jobs.codec import one_line
from push_queue.models.fleet import RegistryInfo
from push_queue.models.pause import Pause, is_registry
from push_queue.pauses import Pauses
from push_queue.redis.database import Arguments, Database

FIRST_PAUSE_MS = 1000
LONGEST_PAUSE_MS = 30_000


class RegistryLimits:
    """The blob uploads and pauses of registries, each named by its host in references."""

    def __init__(self, database: Database, max_uploads: int) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._max_uploads = max_uploads
        self._pauses = Pauses(database)

    async def take_slot(self, registry: str, token: str, seconds: float) -> float:
        """Take one of the registry's upload slots for ``seconds``, or renew it.

        Returns 0 once it is ours, else the seconds after which to ask again, negated if the
        registry asks for a pause or a person has paused it.
        """
        keys = [self._keys.slots(registry), self._keys.pause(registry), self._keys.paused]
        arguments: Arguments = [self._keys.namespace, token, self._max_uploads, int(seconds * 1000)]
        arguments.append(registry)
        milliseconds: int = await self._database.run("registry/take_slot", keys, arguments)
        return milliseconds / 1000

    async def give_slot_back(self, registry: str, token: str) -> None:
        await self._database.ask(self._redis.zrem(self._keys.slots(registry), token))

    async def held_back(self) -> set[str]:
        """The registries that jobs wait for, and those that a person has paused."""
        members = await self._database.ask(self._redis.smembers(self._keys.waited_for))
        waited_for = {member.decode() for member in members}
        return waited_for | set(filter(is_registry, await self._pauses.all()))

    async def used_within(self, seconds: float, most: int) -> list[str]:
        """The registries that were sent something or paused in the last ``seconds``.

        At most so many, the ones used last first.
        """
        now = await self._database.now_ms() // 1000
        found = await self._database.ask(
            self._redis.zrevrangebyscore(
                self._keys.used_registries,
                "+inf",
                round((now - seconds) * 1000),
                start=0,
                num=most,
            )
        )
        return [registry.decode() for registry in found]

    async def look_at(self, registries: Sequence[str]) -> list[RegistryInfo]:
        """How much these are used now, in this order."""
        now_ms = await self._database.now_ms()
        async with self._database.pipeline() as pipeline:
            for registry in registries:
                pipeline.zcount(self._keys.slots(registry), f"({now_ms}", "+inf")
                pipeline.zcard(self._keys.waiting(registry))
                pipeline.hmget(self._keys.pause(registry), ["until", "reason", "since"])
            replies = await pipeline.execute()
        pauses = await self._pauses.all()
        return [
            self._info(
                registry, now_ms, pauses.get(registry), *replies[3 * number : 3 * number + 3]
            )
            for number, registry in enumerate(registries)
        ]

    def _info(
        self,
        registry: str,
        now_ms: int,
        person: Pause | None,
        uploads: int,
        waiting: int,
        pause: list[bytes | None],
    ) -> RegistryInfo:
        until, reason, since = pause
        paused = until is not None and int(until) > now_ms
        return RegistryInfo(
            name=registry,
            uploads=uploads,
            max_uploads=self._max_uploads,
            waiting=waiting,
            paused_until=datetime.fromtimestamp(int(until or 0) / 1000, UTC) if paused else None,
            pause_reason=one_line(reason.decode(errors="replace")) if paused and reason else None,
            pause=person,
            paused_since=datetime.fromtimestamp(int(since) / 1000, UTC) if since else None,
        )

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
