"""When a source is deleted: with the last unfinished job that names it, if one asked for it."""
# ruff: noqa: ASYNC240 - files of a few bytes

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import fakeredis
import pytest
from redis.asyncio import Redis

from push_queue import Claim, JobState, JobStore, Keys, make_job
from tests.support.claims import succeed, write_tags
from worker.cleanup import NEEDED, Cleanup
from worker.source_roots import CHANGED, open_source

DIGEST = "sha256:" + "d" * 64


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with fakeredis.FakeAsyncRedis() as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, Keys())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.tar"
    path.write_bytes(b"a tar")
    return path


@pytest.fixture
def cleanup(store: JobStore, source: Path) -> Cleanup:
    return Cleanup(store, [source.parent])


async def enqueue(store: JobStore, source: Path, *job_ids: str, cleanup: bool = True) -> None:
    for job_id in job_ids:
        target = f"localhost:15000/{job_id}:1"
        job = make_job(id=job_id, source=str(source), targets=[target], cleanup=cleanup)
        await store.create(job)


async def start(store: JobStore, job_id: str) -> Claim:
    claim = await store.start(job_id, 0, "worker")
    assert isinstance(claim, Claim)
    return claim


async def push(store: JobStore, cleanup: Cleanup, job_id: str) -> str | None:
    """All of a job but the push itself; gives what became of its source."""
    claim = await start(store, job_id)
    with open_source(claim.job.source, cleanup._roots, cleanup=False) as file:
        await write_tags(store, claim, DIGEST)
        outcome = await cleanup.after_push(claim, file)
    assert await store.succeed(claim, DIGEST, (), outcome) is JobState.SUCCEEDED
    assert (await store.status(job_id)).cleanup_outcome == outcome
    return outcome


async def test_the_last_of_several_deletes_it(
    store: JobStore, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    await enqueue(store, source, "a", "b", "c")
    assert [await push(store, cleanup, job_id) for job_id in "bac"] == [NEEDED, NEEDED, "deleted"]
    assert not source.exists()
    assert not await redis.keys("push:source:*") + await redis.keys("push:unwanted:*")


async def test_the_last_deletes_what_another_asked_for(
    store: JobStore, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(store, source, "a")
    await enqueue(store, source, "b", cleanup=False)
    assert await push(store, cleanup, "a") == NEEDED
    assert await push(store, cleanup, "b") == "deleted"
    assert not source.exists()


async def test_the_next_build_is_not_what_the_last_one_asked_to_delete(
    store: JobStore, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(store, source, "a")
    await enqueue(store, source, "b", cleanup=False)
    assert await push(store, cleanup, "a") == NEEDED
    source.write_bytes(b"the next build")
    assert await push(store, cleanup, "b") is None
    assert source.exists()


async def test_without_a_wish_nothing_is_deleted(
    store: JobStore, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(store, source, "a", cleanup=False)
    assert await push(store, cleanup, "a") is None
    assert source.exists()


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_a_job_that_ends_badly_deletes_nothing_and_holds_nothing_up(
    end: str, store: JobStore, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    await enqueue(store, source, "a", "b")
    if end == "failed":
        await store.fail(await start(store, "a"), "broken", "internal")
    else:
        await store.cancel("a")
    await cleanup.after_end("a")
    assert source.exists()
    assert await push(store, cleanup, "b") == "deleted"
    assert not await redis.keys("push:source:*")


async def test_a_wish_outlives_the_failure_of_the_last(
    store: JobStore, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    await enqueue(store, source, "a", "b")
    await push(store, cleanup, "a")
    await store.fail(await start(store, "b"), "broken", "internal")
    assert source.exists()
    (wish,) = await redis.keys("push:unwanted:*")
    assert await redis.ttl(wish) > 0
    await store.requeue("b")
    claim = await store.start("b", 1, "worker")
    assert isinstance(claim, Claim)
    with open_source(str(source), [source.parent], cleanup=True) as file:
        await write_tags(store, claim, DIGEST)
        assert await cleanup.after_push(claim, file) == "deleted"


async def test_a_job_with_targets_left_keeps_its_source(
    store: JobStore, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(store, source, "a")
    claim = await start(store, "a")
    with open_source(str(source), [source.parent], cleanup=True) as file:
        assert await cleanup.after_push(claim, file) is None
    assert source.exists()


async def test_what_a_dead_worker_has_pushed_is_deleted_by_who_ends_the_job(
    store: JobStore, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(store, source, "a")
    await write_tags(store, await start(store, "a"), DIGEST)
    assert not isinstance(await store.start("a", 0, "another"), Claim)
    await cleanup.after_end("a")
    job = await store.status("a")
    assert (job.state, job.cleanup_outcome) == (JobState.SUCCEEDED, "deleted")
    assert not source.exists()


async def test_a_tar_that_came_after_the_job_is_kept(
    store: JobStore, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(store, source, "a")
    await succeed(store, await start(store, "a"), DIGEST)
    os.utime(source, ns=(0, time.time_ns() + 10**9))
    await cleanup.after_end("a")
    assert (await store.status("a")).cleanup_outcome == CHANGED
    assert source.exists()


async def test_without_roots_nothing_is_asked_or_deleted(store: JobStore, source: Path) -> None:
    await enqueue(store, source, "a")
    await succeed(store, await start(store, "a"), DIGEST)
    await Cleanup(store, ()).after_end("a")
    assert (await store.status("a")).cleanup_outcome is None
    assert source.exists()


async def test_a_rebuild_before_a_retry_is_kept_by_a_job_that_pushes_nothing(
    store: JobStore, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    """Nobody has pushed it: the job is superseded again without opening it."""
    await enqueue(store, source, "a")
    await succeed(store, await start(store, "a"), DIGEST)
    os.utime(source, ns=(0, time.time_ns() + 10**9))
    await store.requeue("a")
    claim = await store.start("a", 1, "worker")
    assert isinstance(claim, Claim)
    await succeed(store, claim, DIGEST)
    await redis.hset("push:job:a", "enqueued_at", "2999-01-01T00:00:00.000Z")
    await cleanup.after_end("a")
    assert (await store.status("a")).cleanup_outcome == CHANGED
    assert source.exists()
