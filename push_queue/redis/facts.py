"""What a Redis says about itself."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from push_queue.redis.errors import address_of, redis_errors

OLDEST_REDIS = (7, 0)
"""Valkey began with what Redis 7.2 was, so every Valkey will do."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The facts of one moment."""

    product: str
    version: str
    """``7.2.4``."""
    suits: bool
    """Whether the scripts of the queue run there."""
    primary: bool
    used_bytes: int
    most_bytes: int
    """At this it refuses to write; the memory of its machine if it has no limit."""
    writes_at_once: bool
    """Whether a write is on disk before it is answered."""


async def read_facts(redis: Redis) -> RedisFacts | None:
    """The facts now; None if this login may not ask for them.

    Raises:
        RedisUnavailableError: it cannot be reached.
    """
    with redis_errors(address_of(redis)):
        try:
            info: dict[str, Any] = await redis.info()
        except ResponseError:
            return None
        return RedisFacts(
            product="Valkey" if "valkey_version" in info else "Redis",
            version=str(info.get("valkey_version", info["redis_version"])),
            suits="valkey_version" in info or _numbers(info["redis_version"]) >= OLDEST_REDIS,
            primary=info.get("role") != "slave",
            used_bytes=int(info["used_memory"]),
            most_bytes=int(info["maxmemory"] or info.get("total_system_memory", 0)),
            writes_at_once=bool(info.get("aof_enabled")) and await _syncs_always(redis),
        )


async def _syncs_always(redis: Redis) -> bool:
    try:
        found = await redis.config_get("appendfsync")
    except ResponseError:
        # It need not be told, so nothing is wrong as far as is known.
        return True
    return found.get("appendfsync") in ("always", b"always")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
