"""Whether Redis keeps the jobs, and has room for them."""

from collections.abc import AsyncIterator

from producer.doctor.finding import Finding, ok, problem, warning
from producer.queue_reader import QueueReader
from push_queue.errors import RedisUnavailableError, UnsuitableRedisError
from push_queue.redis.facts import RedisFacts, read_facts
from push_queue.redis.suitability import FORGETS, check_redis

SUBJECT = "Redis"
JOB_BYTES = 1000
"""What a waiting job takes there, rounded up."""
FEW_JOBS = 10_000

_UNKNOWN = warning(
    SUBJECT,
    "its set-up cannot be checked, since this login may not run INFO",
    "allow it INFO (+info in its ACL)",
)
_AT_RISK = warning(
    SUBJECT,
    "the jobs of the last seconds are lost if it is killed",
    "set appendonly yes and appendfsync always",
)


async def check(queue: QueueReader) -> AsyncIterator[Finding]:
    """What is found of the Redis of a queue."""
    redis = queue.database.redis
    try:
        facts = await read_facts(redis)
        found = _of(facts) if facts else [_UNKNOWN]
        try:
            doubts = await check_redis(redis, allow_eviction=False)
            found += [warning(SUBJECT, doubt.removeprefix("Redis ")) for doubt in doubts]
        except UnsuitableRedisError as error:
            found.append(problem(SUBJECT, str(error)))
            doubts = []
        for finding in found:
            # Where nothing is on disk, all jobs are at risk, and not only the last ones.
            if not (finding is _AT_RISK and FORGETS in doubts):
                yield finding
    except RedisUnavailableError as error:
        yield problem(SUBJECT, str(error))


def _of(facts: RedisFacts) -> list[Finding]:
    name = f"{facts.product} {facts.version}"
    found = [
        ok(SUBJECT, name)
        if facts.suits
        else problem(SUBJECT, f"{name} is too old", "use Redis 7 or newer, or any Valkey")
    ]
    if not facts.primary:
        found.append(
            problem(
                SUBJECT,
                "it is a replica, which takes no jobs",
                "name the primary, or use redis+sentinel://, which finds it",
            )
        )
    if not facts.writes_at_once:
        found.append(_AT_RISK)
    return [*found, *_room(facts)]


def _room(facts: RedisFacts) -> list[Finding]:
    if not facts.most_bytes:
        return []
    jobs = max(0, facts.most_bytes - facts.used_bytes) // JOB_BYTES
    text = f"room for about {jobs:,} more jobs"
    if jobs >= FEW_JOBS:
        return [ok(SUBJECT, text)]
    how_bad = warning if jobs else problem
    return [how_bad(SUBJECT, text, "give it more memory (maxmemory), or keep jobs for less long")]
