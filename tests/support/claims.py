"""What a worker does with its claim on a job, without a push."""

from push_queue import Claim, JobState, JobStore, TagWrite, Turn

TURN_SECONDS = 15.0


async def write_tags(store: JobStore, claim: Claim, digest: str) -> None:
    """All turns of a push, one after the other."""
    for target in claim.targets:
        write = TagWrite(target, digest)
        if await store.take_turn(claim, write, TURN_SECONDS) is Turn.WRITE:
            assert await store.end_turn(claim, write, written=True)


async def succeed(store: JobStore, claim: Claim, digest: str) -> JobState | None:
    await write_tags(store, claim, digest)
    return await store.succeed(claim, digest)
