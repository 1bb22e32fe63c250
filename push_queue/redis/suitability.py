"""What a worker needs of its Redis, checked when it starts.

``INFO`` is asked before ``CONFIG``, which is often forbidden. If both are forbidden, Redis passes.
"""

import time
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from push_queue.errors import UnsuitableRedisError
from push_queue.redis.errors import address_of, redis_errors

MAX_CLOCK_SECONDS = 2.0
FORGETS = (
    "Redis writes nothing to disk: jobs are lost when it restarts; "
    "set appendonly yes and appendfsync always"
)


async def check_redis(redis: Redis, *, allow_eviction: bool) -> list[str]:
    """Warnings about this Redis for the operator, one line each.

    Raises:
        UnsuitableRedisError: it evicts keys when its memory is full.
        RedisUnavailableError: it cannot be reached.
    """
    with redis_errors(address_of(redis)):
        warnings = [warning async for warning in _warnings(redis)]
        eviction = _eviction(await _info(redis, "memory"))
    if eviction and not allow_eviction:
        raise UnsuitableRedisError(
            f"Redis at {address_of(redis)} {eviction}: set its maxmemory-policy to noeviction, "
            "or PUSH_QUEUE_ALLOW_EVICTION=true to risk losing jobs"
        )
    return [*([f"Redis {eviction}"] if eviction else []), *warnings]


def _eviction(memory: dict[str, Any]) -> str | None:
    """The eviction that is in force, if any. Without a memory limit nothing is evicted."""
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy == "noeviction" or not memory.get("maxmemory"):
        return None
    return f"evicts keys when its memory is full ({policy})"


async def _warnings(redis: Redis) -> AsyncIterator[str]:
    if await _forgets(redis):
        yield FORGETS
    off = await _clock_difference(redis)
    if abs(off) > MAX_CLOCK_SECONDS:
        side = "ahead of" if off > 0 else "behind"
        yield f"the clock of this host is {abs(off):.1f} s {side} that of Redis; keep both by NTP"


async def _forgets(redis: Redis) -> bool:
    if (await _info(redis, "persistence")).get("aof_enabled", 1):
        return False
    try:
        return (await redis.config_get("save")).get("save", "unknown") in ("", b"")
    except ResponseError:
        return False


async def _info(redis: Redis, section: str) -> dict[str, Any]:
    try:
        info: dict[str, Any] = await redis.info(section)
    except ResponseError:
        return {}
    return info


async def _clock_difference(redis: Redis) -> float:
    """Seconds that this host's clock is ahead for certain, or behind if they are negative.

    Redis looked at its clock at some time before its answer came, which may be long before.
    """
    asked = time.time()
    seconds, microseconds = await redis.time()
    there: float = seconds + microseconds / 1e6
    return max(0.0, asked - there) or min(0.0, time.time() - there)
