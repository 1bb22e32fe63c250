"""Workers of two releases on one queue."""

from datetime import timedelta
from pathlib import Path

import pytest

from producer import JobState, JobStatus, PushQueue
from push_queue.models.formats import FIRST_FORMAT, FORMAT
from tests.support.images import ARCHIVES
from tests.support.servers import RedisServer, StartWorker
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

OLDER = FIRST_FORMAT


@pytest.fixture
def target(registry_host: str, repository: str) -> str:
    return f"{registry_host}/{repository}:1"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return ARCHIVES["guide"](tmp_path).path


async def left_to_newer_workers(queue: PushQueue, job_id: str) -> JobStatus:
    async def told() -> bool:
        waiting_for = (await queue.status(job_id)).waiting_for or ""
        return "understands jobs of format" in waiting_for

    await becomes(told)
    return await queue.status(job_id)


async def test_an_older_worker_leaves_a_newer_job_to_newer_workers(
    queue: PushQueue, worker: StartWorker, source: Path, target: str
) -> None:
    worker(job_format=OLDER)
    newer = await queue.enqueue(source, f"{target}-newer", give_up_after=timedelta(hours=1))
    plain = await queue.enqueue(source, target)
    assert (await queue.wait(plain.id, timeout=60)).state is JobState.SUCCEEDED
    left = await left_to_newer_workers(queue, newer.id)
    assert (left.state, left.attempt) == (JobState.QUEUED, 0)
    upgraded = worker()
    done = await queue.wait(newer.id, timeout=60)
    assert (done.state, done.attempt, done.waiting_for) == (JobState.SUCCEEDED, 1, None)
    assert done.worker
    assert f"-{upgraded.pid}-" in done.worker
    assert await queue.attempts(newer.id) != []


async def test_jobs_of_a_newer_release_wait_while_the_fleet_is_rolled_back(
    queue: PushQueue,
    worker: StartWorker,
    source: Path,
    target: str,
    shared_redis: RedisServer,
    namespace: str,
) -> None:
    """With a value that this release does not know: it is neither run nor reported as broken."""
    job = await queue.enqueue(source, target, give_up_after=timedelta(hours=1))
    with shared_redis.client() as client:
        record = {"format": FORMAT + 1, "compression": "lz4"}
        client.hset(f"{namespace}:job:{job.id}", mapping=record)
    worker()
    left = await left_to_newer_workers(queue, job.id)
    assert (left.state, left.attempt, left.error) == (JobState.QUEUED, 0, None)


async def test_jobs_of_the_release_before_are_run(
    queue: PushQueue,
    worker: StartWorker,
    source: Path,
    target: str,
    shared_redis: RedisServer,
    namespace: str,
) -> None:
    job = await queue.enqueue(source, target)
    with shared_redis.client() as client:
        client.hdel(f"{namespace}:job:{job.id}", "format")
    worker()
    assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED


async def test_a_worker_that_meets_an_unreadable_job_goes_on(
    queue: PushQueue,
    worker: StartWorker,
    source: Path,
    target: str,
    shared_redis: RedisServer,
    namespace: str,
) -> None:
    broken = await queue.enqueue(source, target)
    with shared_redis.client() as client:
        client.hset(f"{namespace}:job:{broken.id}", "targets", "[")
    worker()
    good = await queue.enqueue(source, target)
    assert (await queue.wait(good.id, timeout=60)).state is JobState.SUCCEEDED
    ended = await queue.wait(broken.id, timeout=60)
    assert (ended.state, ended.error_kind) == (JobState.FAILED, "invalid_job")
    assert "targets" in (ended.error or "")
    assert "enqueue it again" in (ended.error or "")
    assert {job.id for job in await queue.list()} == {good.id, broken.id}
