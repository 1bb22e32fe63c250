"""What a worker does with its claim on a job, without a push."""

from push_queue import Claim, JobState, JobStore, Turn

TURN_SECONDS = 15.0


async def write_tags(store: JobStore, claim: Claim, digest: str) -> None:
    """All turns of a push, one after the other."""
    for target in claim.targets:
        if await store.take_turn(claim, target, "token", TURN_SECONDS) is Turn.WRITE:
            assert await store.end_turn(claim, target, "token", digest)


async def succeed(store: JobStore, claim: Claim, digest: str) -> JobState | None:
    await write_tags(store, claim, digest)
    return await store.succeed(claim, digest)
