"""What a worker does with its claim on a job, without a push."""

from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from push_queue import Claim, JobState, Keys, TagWrite, Turn
from tests.support.stores import Stores

TURN_SECONDS = 15.0


async def write_tags(stores: Stores, claim: Claim, digest: str) -> None:
    """All turns of a push, one after the other."""
    for target in claim.targets:
        write = TagWrite(target, digest, claim.sequence)
        if await stores.turns.take(claim, write, TURN_SECONDS) is Turn.WRITE:
            assert await stores.turns.end(claim, write, written=True)


async def succeed(stores: Stores, claim: Claim, digest: str) -> JobState | None:
    await write_tags(stores, claim, digest)
    return await stores.attempts.succeed(claim, digest)


async def lose_in_arq(redis: Redis, keys: Keys, job_id: str, generation: int = 0) -> None:
    """arq knows nothing of the job any more."""
    arq_id = keys.arq_job_id(job_id, generation)
    await redis.delete(job_key_prefix + arq_id, in_progress_key_prefix + arq_id)
    await redis.zrem(keys.queue, arq_id)
