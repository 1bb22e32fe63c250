"""Workers that are told to stop: at once by a second signal, and also while Redis is down."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from producer import JobState, JobStatus, PushQueue, load_settings
from push_queue.models.job_status import Outcome
from tests.support.big_images import write_big_archive
from tests.support.proxy import FaultProxy, Hold, is_patch
from tests.support.servers import RedisServer, StartWorker, worker_process
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration


GRACE_SECONDS = 1
LONG = {"PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "600"}
SHORT = {"PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS), "PUSH_QUEUE_LEASE_SECONDS": "1"}


async def push_held(
    queue: PushQueue, proxy: FaultProxy, repository: str, folder: Path
) -> tuple[JobStatus, Hold]:
    """A job that is held in the middle of its upload; it may be attempted once only."""
    big = write_big_archive(folder / "big.tar", [6_000_000])
    hold = proxy.hold(is_patch, after=1_000_000)
    job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1", max_attempts=1)
    await hold.reached.wait()
    return job, hold


def test_ctrl_c_before_redis_has_answered_is_quiet(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        with worker_process(tmp_path / "worker.log", {"PUSH_QUEUE_REDIS_URL": url}) as process:
            connection, _ = silent.accept()
            with connection:
                process.signal(signal.SIGINT)
                assert (process.wait(), process.log) == (-signal.SIGINT, "")


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
async def test_a_second_signal_stops_at_once(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    proxy: FaultProxy,
    repository: str,
    first: signal.Signals,
) -> None:
    process = worker(**LONG)
    job, _ = await push_held(queue, proxy, repository, tmp_path)
    process.signal(first)
    process.signal(signal.SIGINT)
    assert await asyncio.to_thread(process.wait) == 0, "long before the grace period is over"
    assert "Traceback" not in process.log
    assert (await queue.status(job.id)).state is JobState.QUEUED
    worker()
    assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED
    outcomes = [attempt.outcome for attempt in await queue.attempts(job.id)]
    assert outcomes == [Outcome.RELEASED, Outcome.SUCCEEDED]


async def test_further_signals_do_not_disturb_the_handing_back(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, proxy: FaultProxy, repository: str
) -> None:
    process = worker(**LONG)
    job, _ = await push_held(queue, proxy, repository, tmp_path)

    async def handed_back() -> bool:
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGINT)
        return (await queue.status(job.id)).state is JobState.QUEUED

    await becomes(handed_back)
    await asyncio.to_thread(process.wait)
    assert "Traceback" not in process.log
    (attempt,) = await queue.attempts(job.id)
    assert attempt.outcome is Outcome.RELEASED


async def test_a_worker_stops_though_redis_is_away(
    tmp_path: Path,
    namespace: str,
    worker: StartWorker,
    start_redis: Callable[[], RedisServer],
    proxy: FaultProxy,
    repository: str,
) -> None:
    redis = start_redis()
    process = worker(PUSH_QUEUE_REDIS_URL=redis.url, **SHORT)
    settings = load_settings(redis_url=redis.url, namespace=namespace)
    async with PushQueue.connect(settings) as queue:
        job, hold = await push_held(queue, proxy, repository, tmp_path)
        redis.kill()
        process.signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 30)
        assert "Traceback" not in process.log
        hold.release()
        redis.start()
        worker(PUSH_QUEUE_REDIS_URL=redis.url, PUSH_QUEUE_LEASE_SECONDS="1")
        job = await queue.wait(job.id, timeout=60)
    assert job.state in {JobState.SUCCEEDED, JobState.FAILED}, "it was not forgotten"


async def test_a_worker_without_jobs_stops_though_redis_is_away(
    worker: StartWorker, start_redis: Callable[[], RedisServer]
) -> None:
    redis = start_redis()
    process = worker(PUSH_QUEUE_REDIS_URL=redis.url, **SHORT)
    redis.kill()
    process.signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)
    assert "Traceback" not in process.log
