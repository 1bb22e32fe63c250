"""A registry that goes down and comes back: no job fails, and those of others do not wait."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from producer import JobState, JobStatus, PushQueue
from push_queue.models.job_status import Outcome
from tests.support.images import ARCHIVES
from tests.support.proxy import FaultProxy, Request
from tests.support.servers import RedisServer, Registry, StartWorker
from tests.support.silent_server import SilentServer
from tests.support.skopeo import raw_manifest
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

JOBS = 200
FAILURES = 4
IMAGE_UPLOADS = 3
"""Blobs of an image that are sent at the same time."""


def is_upload_start(request: Request) -> bool:
    return request.method == "POST"


async def test_jobs_wait_for_their_registry_and_use_up_no_attempt(
    tmp_path: Path,
    queue: PushQueue,
    namespace: str,
    worker: StartWorker,
    shared_redis: RedisServer,
    start_registry: Callable[..., Registry],
    registry_host: str,
    repository: str,
) -> None:
    path = ARCHIVES["guide"](tmp_path).path
    registry = start_registry()
    assert registry.process
    for _ in range(2):
        worker()

    async def enqueue(target: str) -> str:
        return (await queue.enqueue(path, target, max_attempts=1)).id

    async def statuses() -> list[JobStatus]:
        return [await queue.status(job_id) for job_id in ids]

    first = await enqueue(f"{registry.host}/app:1")
    assert (await queue.wait(first, timeout=60)).state is JobState.SUCCEEDED
    registry.process.kill()
    ids = [await enqueue(f"{registry.host}/app-{number}:1") for number in range(JOBS)]

    async def is_away_for_long() -> bool:
        with shared_redis.client() as redis:
            pause = redis.hgetall(f"{namespace}:registry:{registry.host}:pause")
        return int(pause.get("streak", 0)) >= FAILURES

    await becomes(is_away_for_long)
    others = [await enqueue(f"{registry_host}/{repository}-{number}:1") for number in range(10)]
    for job_id in others:
        assert (await queue.wait(job_id, timeout=60)).state is JobState.SUCCEEDED
    waiting = [job for job in await statuses() if not job.state.final]
    assert len(waiting) == JOBS
    assert {job.state for job in waiting} <= {JobState.QUEUED, JobState.RUNNING}
    assert any(registry.host in (job.waiting_for or "") for job in waiting)

    registry.process.start()
    for job_id in ids:
        await queue.wait(job_id, timeout=60)
    outcomes = Counter((job.state, job.attempt, job.error) for job in await statuses())
    assert outcomes == {(JobState.SUCCEEDED, 1, None): JOBS}


async def test_an_attempt_counts_to_the_time_that_a_job_has(
    tmp_path: Path, queue: PushQueue, worker: StartWorker
) -> None:
    """Here that is one time-out: the first attempt is the last."""
    path = ARCHIVES["guide"](tmp_path).path
    worker(PUSH_QUEUE_REGISTRY_TIMEOUT_SECONDS="2")
    async with SilentServer() as silent:
        patience = timedelta(seconds=2)
        job = await queue.enqueue(path, f"{silent.host}/app:1", give_up_after=patience)
        job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.error_kind) == (JobState.FAILED, "registry_unavailable")
    assert job.error == f"http://{silent.host} did not answer in time"
    assert [attempt.outcome for attempt in await queue.attempts(job.id)] == [Outcome.FAILED]


async def test_only_the_silent_registry_is_tried_again(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    path = ARCHIVES["guide"](tmp_path).path
    worker(PUSH_QUEUE_REGISTRY_TIMEOUT_SECONDS="4")
    async with SilentServer() as silent, FaultProxy(registry_url) as proxy:
        targets = [f"{silent.host}/app:1", f"{proxy.host}/{repository}:1"]
        job = await queue.enqueue(path, targets)

        async def has_tried_again() -> bool:
            return len(await queue.attempts(job.id)) >= 2

        await becomes(has_tried_again)
        tags = proxy.count(lambda request: request.path.endswith("/manifests/1"))
        status = await queue.status(job.id)
        await queue.cancel(job.id)
    assert [result.target for result in status.results] == [targets[1]]
    first, second, *_ = await queue.attempts(job.id)
    assert (first.outcome, second.outcome) == (Outcome.DEFERRED, Outcome.DEFERRED)
    assert tags == 2, "PUT and GET, in the first attempt alone"


async def test_a_target_that_fails_for_good_keeps_no_other_from_its_image(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: Callable[..., Registry],
    registry_url: str,
    repository: str,
) -> None:
    path = ARCHIVES["guide"](tmp_path).path
    registry = start_registry()
    assert registry.process
    registry.process.kill()
    worker()
    async with FaultProxy(registry_url) as proxy:
        proxy.answer(is_upload_start, status=403, times=100)
        targets = [f"{proxy.host}/{repository}:1", f"{registry.host}/app:1"]
        job = await queue.enqueue(path, targets)

        async def is_away_for_long() -> bool:
            return len(await queue.attempts(job.id)) >= FAILURES

        await becomes(is_away_for_long)
        registry.process.start()
        job = await queue.wait(job.id, timeout=60)
        tried = proxy.count(is_upload_start)
    assert (job.state, job.error_kind) == (JobState.FAILED, "denied")
    assert [result.target for result in job.results] == [targets[1]]
    assert raw_manifest(targets[1])
    assert tried <= 2 * IMAGE_UPLOADS, "what is refused is not asked for again and again"
