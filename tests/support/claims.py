"""What a worker does with its claim on a job, without a push."""

from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from push_queue import Claim, JobState, JobStore, Keys, TagWrite, Turn

TURN_SECONDS = 15.0


async def write_tags(store: JobStore, claim: Claim, digest: str) -> None:
    """All turns of a push, one after the other."""
    for target in claim.targets:
        write = TagWrite(target, digest, claim.sequence)
        if await store.take_turn(claim, write, TURN_SECONDS) is Turn.WRITE:
            assert await store.end_turn(claim, write, written=True)


async def succeed(store: JobStore, claim: Claim, digest: str) -> JobState | None:
    await write_tags(store, claim, digest)
    return await store.succeed(claim, digest)


async def lose_in_arq(redis: Redis, keys: Keys, job_id: str, generation: int = 0) -> None:
    """arq knows nothing of the job any more."""
    arq_id = keys.arq_job_id(job_id, generation)
    await redis.delete(job_key_prefix + arq_id, in_progress_key_prefix + arq_id)
    await redis.zrem(keys.queue, arq_id)
