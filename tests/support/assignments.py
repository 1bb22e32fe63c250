"""What a worker does with a job that it is to run, without a push."""

from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from push_queue.jobs.tag_writes import TagWrite
from push_queue.models.assignments import Assignment, Turn
from push_queue.models.job_status import JobState
from push_queue.redis.keys import Keys
from tests.support.stores import Stores

TURN_SECONDS = 15.0


async def write_tags(stores: Stores, assignment: Assignment, digest: str) -> None:
    """All turns of a push, one after the other."""
    for target in assignment.targets:
        write = TagWrite(target, digest, assignment.sequence)
        if await stores.turns.take(assignment, write, TURN_SECONDS) is Turn.WRITE:
            assert await stores.turns.end(assignment, write, written=True)


async def succeed(stores: Stores, assignment: Assignment, digest: str) -> JobState | None:
    await write_tags(stores, assignment, digest)
    return await stores.attempts.succeed(assignment, digest)


async def lose_in_arq(redis: Redis, keys: Keys, job_id: str, generation: int = 0) -> None:
    """arq knows nothing of the job any more."""
    arq_id = keys.arq_job_id(job_id, generation)
    await redis.delete(job_key_prefix + arq_id, in_progress_key_prefix + arq_id)
    await redis.zrem(keys.queue, arq_id)
