"""The whole way: a producer enqueues, worker processes push, the status keys say so."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from producer import JobState, JobStatus, PushQueue, load_settings
from push_queue.models.job_status import Outcome
from registry_api_v2_client import list_tags
from tests.support.big_images import write_big_archive
from tests.support.broken_images import BROKEN, LYING_DIGEST, PathBuilder, missing_file
from tests.support.images import ARCHIVES, sha256_digest
from tests.support.processes import free_port
from tests.support.proxy import FaultProxy, is_manifest_put, is_patch
from tests.support.servers import (
    RedisServer,
    Registry,
    StartWorker,
)
from tests.support.skopeo import skopeo_copy_to_dir, skopeo_inspect
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration


FAST_RETRIES = {"PUSH_QUEUE_RETRY_BASE_SECONDS": "0.01", "PUSH_QUEUE_RETRY_MAX_SECONDS": "0.1"}


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[PushQueue]:
    settings = load_settings(redis_url=redis_url, namespace=namespace)
    async with PushQueue.connect(settings) as queue:
        yield queue


async def reaches(
    queue: PushQueue, job_id: str, condition: Callable[[JobStatus], bool]
) -> JobStatus:
    """Follow a job until its status meets the condition."""
    async with asyncio.timeout(60):
        async for status in queue.watch(job_id):
            if condition(status):
                return status
    raise AssertionError(f"job {job_id} ended first: {await queue.status(job_id)}")


async def outcomes(queue: PushQueue, job_id: str) -> list[Outcome]:
    return [attempt.outcome for attempt in await queue.attempts(job_id)]


# Success


@pytest.mark.parametrize("compression", ["gzip", "keep"])
async def test_a_job_is_pushed_and_its_status_says_so(
    compression: Literal["gzip", "keep"],
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_host: str,
    repository: str,
) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    target = f"{registry_host}/{repository}:1"
    worker()
    job = await queue.enqueue(archive.path, target, compression=compression)
    job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    pulled = skopeo_copy_to_dir(target, tmp_path / "back")
    assert job.digest == pulled.digest == skopeo_inspect(target)["Digest"]
    assert pulled.config == archive.image.config
    assert pulled.contents == list(archive.image.layers)
    assert [(result.target, result.digest) for result in job.results] == [(target, job.digest)]
    assert (job.blobs_done, job.blobs_total) == (3, 3)
    assert job.bytes_done == job.bytes_total > 0
    assert await outcomes(queue, job.id) == [Outcome.SUCCEEDED]


async def test_the_status_key_reads_without_a_decoder(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    shared_redis: RedisServer,
    namespace: str,
    registry_host: str,
    repository: str,
) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    worker()
    job = await queue.enqueue(archive.path, f"{registry_host}/{repository}:1")
    await queue.wait(job.id, timeout=60)
    with shared_redis.client() as redis:
        fields = redis.hgetall(f"{namespace}:job:{job.id}")
        blobs = redis.hgetall(f"{namespace}:job:{job.id}:blobs")
    assert fields["state"] == "succeeded"
    assert fields["source"] == str(archive.path)
    assert fields["digest"].startswith("sha256:")
    assert fields["bytes_done"] == fields["bytes_total"]
    assert {sha256_digest(layer) for layer in archive.image.layers} <= blobs.keys()


async def test_one_job_goes_to_several_repositories(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    targets = [f"{registry_host}/{repository}{suffix}" for suffix in (":1", ":2", "-b:1")]
    worker()
    job = await queue.enqueue(archive.path, targets)
    job = await queue.wait(job.id, timeout=60)
    assert {result.target for result in job.results} == set(targets)
    assert {skopeo_inspect(target)["Digest"] for target in targets} == {job.digest}


async def test_fifty_jobs_on_two_workers(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    jobs = [
        await queue.enqueue(archive.path, f"{registry_host}/{repository}:{number}")
        for number in range(50)
    ]
    for _ in range(2):
        worker(PUSH_QUEUE_MAX_JOBS="5")
    finished = await asyncio.gather(*(queue.wait(job.id, timeout=60) for job in jobs))
    assert {job.state for job in finished} == {JobState.SUCCEEDED}
    assert set(await list_tags(registry_url, repository)) == set(map(str, range(50)))
    attempts = [attempt for job in jobs for attempt in await queue.attempts(job.id)]
    assert [attempt for attempt in attempts if attempt.outcome is not Outcome.SUCCEEDED] == []
    assert len(attempts) == 50


async def test_the_same_id_again_is_the_same_job(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    target = f"{registry_host}/{repository}:1"
    first = await queue.enqueue(archive.path, target, job_id="build-7")
    assert (await queue.enqueue(archive.path, target, job_id="build-7")) == first
    worker()
    await queue.wait("build-7", timeout=60)
    again = await queue.enqueue(archive.path, target, job_id="build-7")
    assert again.state is JobState.SUCCEEDED
    assert await outcomes(queue, "build-7") == [Outcome.SUCCEEDED]


async def test_progress_is_seen_while_it_is_made(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [30_000_000])
    worker()
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch, after=3_000_000)
        job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
        status = await reaches(queue, job.id, lambda status: status.bytes_done > 0)
        assert status.state is JobState.RUNNING
        assert status.worker is not None
        assert 0 < status.bytes_done < status.bytes_total
        hold.release()
        assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED


# Failure


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        pytest.param(missing_file, "source_unreadable", id="missing"),
        pytest.param(BROKEN["empty-file"], "invalid_archive", id="empty"),
        pytest.param(BROKEN["not-a-tar"], "invalid_archive", id="not a tar"),
        pytest.param(BROKEN["truncated-gzip"], "invalid_archive", id="truncated"),
        pytest.param(BROKEN["layer-missing"], "invalid_archive", id="layer missing"),
        pytest.param(LYING_DIGEST, "archive_digest_mismatch", id="digest lies"),
    ],
)
async def test_a_bad_archive_fails_at_once(
    build: PathBuilder,
    kind: str,
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_host: str,
    repository: str,
) -> None:
    path = build(tmp_path)
    process = worker()
    job = await queue.enqueue(path, f"{registry_host}/{repository}:1")
    job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.error_kind, job.attempt) == (JobState.FAILED, kind, 1)
    assert job.error is not None
    assert "\n" not in job.error
    assert "Traceback" not in process.log


async def test_a_registry_that_stays_down_is_given_up_in_time(
    tmp_path: Path, queue: PushQueue, worker: StartWorker
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    host = f"127.0.0.1:{free_port()}"
    worker(**FAST_RETRIES)
    patience = timedelta(seconds=5)  # longer than a first attempt on a busy machine
    job = await queue.enqueue(archive.path, f"{host}/app:1", max_attempts=1, give_up_after=patience)
    job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.error_kind) == (JobState.FAILED, "registry_unavailable")
    assert job.error is not None
    assert host in job.error
    first, *_ = await outcomes(queue, job.id)
    assert first is Outcome.DEFERRED


async def test_a_passing_failure_is_tried_again(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    worker(**FAST_RETRIES)
    async with FaultProxy(registry_url) as proxy:
        # More often than the engine itself tries within one attempt.
        proxy.answer(is_manifest_put, status=503, headers={"Retry-After": "0"}, times=3)
        job = await queue.enqueue(archive.path, f"{proxy.host}/{repository}:1", max_attempts=1)
        job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    first, second = await queue.attempts(job.id)
    assert (first.outcome, first.error_kind) == (Outcome.DEFERRED, "registry_unavailable")
    assert "503" in (first.error or "")
    assert second.outcome is Outcome.SUCCEEDED


async def test_a_failed_job_is_enqueued_again(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    path = tmp_path / "image.tar"
    worker()
    job = await queue.enqueue(path, f"{registry_host}/{repository}:1")
    assert (await queue.wait(job.id, timeout=60)).state is JobState.FAILED
    assert ARCHIVES["guide"](tmp_path).path == path
    await queue.retry(job.id)
    job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)


async def test_other_jobs_go_on_beside_one_that_fails(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    worker(PUSH_QUEUE_MAX_JOBS="1")
    bad = await queue.enqueue(tmp_path / "missing.tar", f"{registry_host}/{repository}:1")
    good = await queue.enqueue(archive.path, f"{registry_host}/{repository}:2")
    assert (await queue.wait(bad.id, timeout=60)).state is JobState.FAILED
    assert (await queue.wait(good.id, timeout=60)).state is JobState.SUCCEEDED


# Credentials


async def test_refused_credentials_fail_at_once(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: Callable[..., Registry],
) -> None:
    registry = start_registry(htpasswd=True)
    archive = ARCHIVES["guide"](tmp_path)
    worker()
    job = await queue.enqueue(archive.path, f"{registry.host}/app:1")
    job = await queue.wait(job.id, timeout=60)
    assert (job.state, job.error_kind, job.attempt) == (JobState.FAILED, "unauthorized", 1)
    assert registry.host in (job.error or "")


# Workers that stop


async def test_a_worker_told_to_stop_hands_its_job_to_another(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_url: str, repository: str
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    first = worker(PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS="1")
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1", max_attempts=1)
        await hold.reached.wait()
        await asyncio.to_thread(first.terminate)
        assert (await queue.status(job.id)).state is not JobState.FAILED
        worker()
        job = await queue.wait(job.id, timeout=60)
    assert job.state is JobState.SUCCEEDED, "although it may be attempted once only"
    assert await outcomes(queue, job.id) == [Outcome.RELEASED, Outcome.SUCCEEDED]


async def test_a_worker_told_to_stop_finishes_what_it_can(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_url: str, repository: str
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    process = worker(PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS="30")
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
        process.signal(signal.SIGTERM)
        hold.release()
        job = await queue.wait(job.id, timeout=60)
        assert await asyncio.to_thread(process.wait) == 0
    assert job.state is JobState.SUCCEEDED
    assert await outcomes(queue, job.id) == [Outcome.SUCCEEDED]


async def test_a_killed_worker_s_job_runs_again_within_the_lease(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_url: str, repository: str
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    first = worker(PUSH_QUEUE_LEASE_SECONDS="3")
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
        first.kill()
        worker()
        job = await queue.wait(job.id, timeout=60)
    assert job.state is JobState.SUCCEEDED
    assert await outcomes(queue, job.id) == [Outcome.LOST, Outcome.SUCCEEDED]


# Cancelling


async def test_a_waiting_job_is_cancelled_at_once(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    cancelled = await queue.enqueue(archive.path, f"{registry_host}/{repository}:1")
    assert await queue.cancel(cancelled.id) is JobState.CANCELLED
    worker(PUSH_QUEUE_MAX_JOBS="1")
    later = await queue.enqueue(archive.path, f"{registry_host}/{repository}:2")
    assert (await queue.wait(later.id, timeout=60)).state is JobState.SUCCEEDED
    assert (await queue.status(cancelled.id)).state is JobState.CANCELLED
    assert await queue.attempts(cancelled.id) == []


async def test_a_running_job_is_cancelled_in_mid_upload(
    tmp_path: Path, queue: PushQueue, worker: StartWorker
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    worker()
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        job = await queue.enqueue(big.path, f"{proxy.host}/app:1")
        await hold.reached.wait()
        await queue.cancel(job.id)
        job = await queue.wait(job.id, timeout=60)
        assert job.state is JobState.CANCELLED
        assert registry.repositories["app"].tags == {}
        left = registry.repositories["app"].uploads.values()
        assert not any(left), "no session stays behind with the bytes in it"
