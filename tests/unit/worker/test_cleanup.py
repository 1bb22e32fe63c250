"""When a source is deleted: with the last unfinished job that names it, if one asked for it."""
# ruff: noqa: ASYNC240 - files of a few bytes

import os
import time
from pathlib import Path

import pytest

from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.settings import Settings
from tests.support.assignments import succeed, write_tags
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from worker.cleanup import NEEDED, Cleanup
from worker.source_roots import CHANGED, open_source_of

DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.tar"
    path.write_bytes(b"a tar")
    return path


@pytest.fixture
def cleanup(stores: Stores, source: Path) -> Cleanup:
    return Cleanup(stores.jobs, stores.sources, Settings(source_roots=(source.parent,)))


async def enqueue(stores: Stores, source: Path, *job_ids: str, cleanup: bool = True) -> None:
    for job_id in job_ids:
        target = f"localhost:15000/{job_id}:1"
        job = make_job(id=job_id, source=str(source), targets=[target], cleanup=cleanup)
        await stores.jobs.create(job)


async def start(stores: Stores, job_id: str) -> Assignment:
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def push(stores: Stores, cleanup: Cleanup, job_id: str) -> str | None:
    """All of a job but the push itself; returns the outcome of the cleanup."""
    assignment = await start(stores, job_id)
    with open_source_of(assignment.job, cleanup._settings) as file:
        await write_tags(stores, assignment, DIGEST)
        outcome = await cleanup.after_push(assignment, file)
    assert await stores.attempts.succeed(assignment, DIGEST, (), outcome) is JobState.SUCCEEDED
    assert (await stores.jobs.status(job_id)).cleanup_outcome == outcome
    return outcome


async def test_the_last_of_several_deletes_it(
    stores: Stores, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    await enqueue(stores, source, "a", "b", "c")
    assert [await push(stores, cleanup, job_id) for job_id in "bac"] == [NEEDED, NEEDED, "deleted"]
    assert not source.exists()
    assert not await redis.keys("push:source:*") + await redis.keys("push:unwanted:*")


async def test_the_last_deletes_what_another_asked_for(
    stores: Stores, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(stores, source, "a")
    await enqueue(stores, source, "b", cleanup=False)
    assert await push(stores, cleanup, "a") == NEEDED
    assert await push(stores, cleanup, "b") == "deleted"
    assert not source.exists()


async def test_the_next_build_is_not_what_the_last_one_asked_to_delete(
    stores: Stores, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(stores, source, "a")
    await enqueue(stores, source, "b", cleanup=False)
    assert await push(stores, cleanup, "a") == NEEDED
    source.write_bytes(b"the next build")
    assert await push(stores, cleanup, "b") is None
    assert source.exists()


async def test_without_a_wish_nothing_is_deleted(
    stores: Stores, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(stores, source, "a", cleanup=False)
    assert await push(stores, cleanup, "a") is None
    assert source.exists()


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_a_job_that_ends_badly_deletes_nothing_and_holds_nothing_up(
    end: str, stores: Stores, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    await enqueue(stores, source, "a", "b")
    if end == "failed":
        await stores.attempts.fail(await start(stores, "a"), "broken", "internal")
    else:
        await stores.jobs.cancel("a")
    await cleanup.after_end("a")
    assert source.exists()
    assert await push(stores, cleanup, "b") == "deleted"
    assert not await redis.keys("push:source:*")


async def test_a_wish_outlives_the_failure_of_the_last(
    stores: Stores, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    await enqueue(stores, source, "a", "b")
    await push(stores, cleanup, "a")
    await stores.attempts.fail(await start(stores, "b"), "broken", "internal")
    assert source.exists()
    (wish,) = await redis.keys("push:unwanted:*")
    assert await redis.ttl(wish) > 0
    await stores.jobs.requeue("b")
    assignment = await stores.attempts.start("b", 1, "worker")
    assert isinstance(assignment, Assignment)
    with open_source_of(assignment.job, cleanup._settings) as file:
        await write_tags(stores, assignment, DIGEST)
        assert await cleanup.after_push(assignment, file) == "deleted"


async def test_a_job_with_targets_left_keeps_its_source(
    stores: Stores, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(stores, source, "a")
    assignment = await start(stores, "a")
    with open_source_of(assignment.job, cleanup._settings) as file:
        assert await cleanup.after_push(assignment, file) is None
    assert source.exists()


async def test_what_a_dead_worker_has_pushed_is_deleted_by_who_ends_the_job(
    stores: Stores, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(stores, source, "a")
    await write_tags(stores, await start(stores, "a"), DIGEST)
    assert not isinstance(await stores.attempts.start("a", 0, "another"), Assignment)
    await cleanup.after_end("a")
    job = await stores.jobs.status("a")
    assert (job.state, job.cleanup_outcome) == (JobState.SUCCEEDED, "deleted")
    assert not source.exists()


async def test_a_tar_that_came_after_the_job_is_kept(
    stores: Stores, cleanup: Cleanup, source: Path
) -> None:
    await enqueue(stores, source, "a")
    await succeed(stores, await start(stores, "a"), DIGEST)
    os.utime(source, ns=(0, time.time_ns() + 10**9))
    await cleanup.after_end("a")
    assert (await stores.jobs.status("a")).cleanup_outcome == CHANGED
    assert source.exists()


async def test_without_roots_nothing_is_asked_or_deleted(stores: Stores, source: Path) -> None:
    await enqueue(stores, source, "a")
    await succeed(stores, await start(stores, "a"), DIGEST)
    await Cleanup(stores.jobs, stores.sources, Settings()).after_end("a")
    assert (await stores.jobs.status("a")).cleanup_outcome is None
    assert source.exists()


async def test_a_rebuild_before_a_retry_is_kept_by_a_job_that_pushes_nothing(
    stores: Stores, cleanup: Cleanup, source: Path, redis: Redis
) -> None:
    """Nobody has pushed it: the job is superseded again without opening it."""
    await enqueue(stores, source, "a")
    await succeed(stores, await start(stores, "a"), DIGEST)
    os.utime(source, ns=(0, time.time_ns() + 10**9))
    await stores.jobs.requeue("a")
    assignment = await stores.attempts.start("a", 1, "worker")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, DIGEST)
    await redis.hset("push:job:a", "enqueued_at", "2999-01-01T00:00:00.000Z")
    await cleanup.after_end("a")
    assert (await stores.jobs.status("a")).cleanup_outcome == CHANGED
    assert source.exists()


UPLOAD_ID = "01m8h000000000000000000000"
UPLOAD = f"upload:{UPLOAD_ID}"


class TestUpload:
    """In the spool, which lies below no root; what else is there is not."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / f"{UPLOAD_ID}.tar"
        path.write_bytes(b"a tar")
        return path

    @pytest.fixture
    def cleanup(self, stores: Stores, source: Path) -> Cleanup:
        settings = Settings(spool=source.parent, source_roots=(source.parent / "images",))
        return Cleanup(stores.jobs, stores.sources, settings)

    async def enqueue(self, stores: Stores, *job_ids: str) -> None:
        for job_id in job_ids:
            targets = [f"localhost:15000/{job_id}:1"]
            job = make_job(id=job_id, source=UPLOAD, targets=targets, cleanup=job_id == job_ids[-1])
            await stores.jobs.create(job)

    async def test_the_last_job_deletes_it(
        self, stores: Stores, cleanup: Cleanup, source: Path
    ) -> None:
        await self.enqueue(stores, "a", "b")
        assert await push(stores, cleanup, "b") == NEEDED
        assert await push(stores, cleanup, "a") == "deleted"
        assert not source.exists()

    async def test_a_superseded_job_deletes_it_unread(
        self, stores: Stores, cleanup: Cleanup, source: Path
    ) -> None:
        await self.enqueue(stores, "a")
        await succeed(stores, await start(stores, "a"), DIGEST)
        await cleanup.after_end("a")
        assert (await stores.jobs.status("a")).cleanup_outcome == "deleted"
        assert not source.exists()

    async def test_a_worker_without_the_spool_lets_it_be(
        self, stores: Stores, source: Path
    ) -> None:
        await self.enqueue(stores, "a")
        await succeed(stores, await start(stores, "a"), DIGEST)
        settings = Settings(source_roots=(source.parent,))
        await Cleanup(stores.jobs, stores.sources, settings).after_end("a")
        assert source.exists()
