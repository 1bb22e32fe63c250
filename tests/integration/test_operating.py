"""Pauses and drains of a running fleet: what was begun ends, and nothing else begins."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from producer import JobState, PushQueue, load_settings
from producer.operator import Operator
from push_queue.models.fleet import WorkerState
from push_queue.models.job_status import Outcome
from push_queue.worker_roster import WorkerRoster
from tests.support.api_server import ApiServer
from tests.support.big_images import write_big_archive
from tests.support.commands import push_queue
from tests.support.processes import ManagedProcess, free_port
from tests.support.proxy import FaultProxy, Hold, is_patch
from tests.support.servers import RedisServer, StartWorker, clean_environment
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(folder: Path, redis_url: str, namespace: str) -> Cli:
    environment = clean_environment(PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_NAMESPACE=namespace)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return push_queue(*arguments, env=environment, cwd=folder, timeout=120)

    return run


@pytest.fixture
def tars(tmp_path: Path) -> list[Path]:
    """With other layers each."""
    return [
        write_big_archive(tmp_path / f"{number}.tar", [2_000_000 + number]).path
        for number in range(3)
    ]


async def held(queue: PushQueue, proxy: FaultProxy, tar: Path, repository: str) -> tuple[str, Hold]:
    """A job that is in the middle of its upload."""
    hold = proxy.hold(is_patch, after=500_000)
    job = await queue.enqueue(tar, f"{proxy.host}/{repository}:1")
    await hold.reached.wait()
    return job.id, hold


async def succeeded(queue: PushQueue, *job_ids: str) -> None:
    for job_id in job_ids:
        job = await queue.wait(job_id, timeout=60)
        assert job.state is JobState.SUCCEEDED, job.error


async def its_state(queue: PushQueue, state: WorkerState) -> None:
    async def reported() -> bool:
        return [worker.state for worker in await queue.workers()] == [state]

    await becomes(reported)


async def test_a_paused_queue_ends_what_runs_and_begins_nothing(
    queue: PushQueue,
    cli: Cli,
    worker: StartWorker,
    proxy: FaultProxy,
    tars: list[Path],
    repository: str,
) -> None:
    worker()
    running, hold = await held(queue, proxy, tars[0], repository)
    done = cli("pause", "--reason", "새 디스크")
    assert (done.returncode, done.stderr) == (0, "")
    waiting = await queue.enqueue(tars[1], f"{proxy.host}/{repository}:2")
    hold.release()
    await succeeded(queue, running)
    await its_state(queue, WorkerState.PAUSED)
    shown = cli("list")
    assert "is paused since" in shown.stderr
    assert (await queue.status(waiting.id)).state is JobState.QUEUED
    assert cli("resume").stdout == "the queue is not paused\n"
    await succeeded(queue, waiting.id)


async def test_a_pause_outlives_redis_and_workers(
    start_redis: Callable[[], RedisServer],
    namespace: str,
    worker: StartWorker,
    registry_host: str,
    tars: list[Path],
    repository: str,
) -> None:
    redis = start_redis()
    settings = load_settings(redis_url=redis.url, namespace=namespace)
    async with Operator.connect(settings) as operator:
        queue = operator.queue
        first = worker(PUSH_QUEUE_REDIS_URL=redis.url)
        await operator.pause(reason="새 디스크")
        job = await queue.enqueue(tars[0], f"{registry_host}/{repository}:1")
        redis.kill()
        redis.start()
        redis.wait_ready()
        pause = await queue.paused()
        assert pause is not None
        assert pause.reason == "새 디스크"
        assert first.terminate() == 0
        worker(PUSH_QUEUE_REDIS_URL=redis.url)
        await its_state(queue, WorkerState.PAUSED)
        assert (await queue.status(job.id)).state is JobState.QUEUED
        await operator.resume()
        await succeeded(queue, job.id)


async def test_no_upload_to_a_paused_registry_begins(
    queue: PushQueue,
    cli: Cli,
    worker: StartWorker,
    proxy: FaultProxy,
    registry_host: str,
    tars: list[Path],
    repository: str,
) -> None:
    worker()
    running, hold = await held(queue, proxy, tars[0], repository)
    assert cli("registries", "pause", proxy.host, "--reason", "수리 중").returncode == 0
    waiting = await queue.enqueue(tars[1], f"{proxy.host}/{repository}:2")
    elsewhere = await queue.enqueue(tars[2], f"{registry_host}/{repository}:3")
    await succeeded(queue, elsewhere.id)

    async def told() -> bool:
        reason = (await queue.status(waiting.id)).waiting_for
        return reason == f"{proxy.host} is paused: 수리 중"

    await becomes(told)
    hold.release()
    await becomes(lambda: _is_idle(queue))
    uploads = proxy.count(is_patch)
    listed = json.loads(cli("registries", "--json").stdout)
    assert [(one["name"], one["pause"]["reason"]) for one in listed] == [(proxy.host, "수리 중")]
    assert proxy.count(is_patch) == uploads
    assert cli("registries", "resume", proxy.host).stdout == f"{proxy.host} is not paused\n"
    await succeeded(queue, running, waiting.id)


async def test_a_registry_is_forgotten_while_an_older_job_pushes_to_it(
    queue: PushQueue,
    cli: Cli,
    worker: StartWorker,
    proxy: FaultProxy,
    tars: list[Path],
    repository: str,
) -> None:
    worker()
    older, hold = await held(queue, proxy, tars[0], repository)
    newer = await queue.enqueue(tars[1], f"{proxy.host}/{repository}:1")
    await succeeded(queue, newer.id)
    done = cli("purge", "--registry-knowledge", proxy.host, "--yes")
    assert (done.returncode, done.stdout) == (0, "")
    hold.release()
    assert (await queue.wait(older, timeout=60)).state is JobState.SUPERSEDED


async def test_a_registry_that_stays_away_keeps_no_image_from_one_that_is_paused(
    queue: PushQueue,
    worker: StartWorker,
    registry_host: str,
    tars: list[Path],
    repository: str,
) -> None:
    worker()
    operator, here = Operator(queue), f"{registry_host}/{repository}:1"
    away = f"127.0.0.1:{free_port()}/{repository}:1"
    await operator.pause_registry(registry_host)
    job = await queue.enqueue(tars[0], [here, away], give_up_after=timedelta(seconds=1))

    async def given_up() -> bool:
        status = await queue.status(job.id)
        waits_here = status.waiting_for == f"{registry_host} is paused"
        return waits_here and status.error_kind == "registry_unavailable"

    await becomes(given_up)
    await operator.resume_registry(registry_host)
    ended = await queue.wait(job.id, timeout=60)
    assert (ended.state, ended.error_kind) == (JobState.FAILED, "registry_unavailable")
    assert [result.target for result in ended.results] == [here]


async def _is_idle(queue: PushQueue) -> bool:
    return not await queue.list(JobState.RUNNING)


async def busy_worker(queue: PushQueue) -> str:
    """The id of the worker, once it has reported that it runs a job."""
    busy: list[str] = []

    async def reported() -> bool:
        busy.extend(worker.id for worker in await queue.workers() if worker.running)
        return bool(busy)

    await becomes(reported)
    return busy[0]


async def test_a_drained_worker_ends_its_job_and_then_itself(
    queue: PushQueue,
    cli: Cli,
    worker: StartWorker,
    proxy: FaultProxy,
    tars: list[Path],
    repository: str,
) -> None:
    process = worker(PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS="1")
    running, hold = await held(queue, proxy, tars[0], repository)
    worker_id = await busy_worker(queue)
    done = cli("drain", worker_id)
    assert done.stdout == f"{worker_id} draining: 1 job left\n", done.stderr
    late = cli("drain", worker_id, "--wait", "--timeout", "2s")
    assert (late.returncode, process.returncode) == (4, None), "longer than its grace period"
    waiting = await queue.enqueue(tars[1], f"{proxy.host}/{repository}:2")
    hold.release()
    ended = await asyncio.to_thread(cli, "drain", worker_id, "--wait")
    assert ended.returncode in (0, 2), "it may have ended before"
    assert await asyncio.to_thread(process.wait) == 0
    await succeeded(queue, running)
    assert (await queue.status(waiting.id)).state is JobState.QUEUED
    assert "Traceback" not in process.log
    worker()
    await succeeded(queue, waiting.id)


async def test_a_worker_that_hangs_while_it_is_drained_takes_no_job_afterwards(
    queue: PushQueue,
    worker: StartWorker,
    proxy: FaultProxy,
    tars: list[Path],
    repository: str,
) -> None:
    process = worker(PUSH_QUEUE_LEASE_SECONDS="5")
    running, hold = await held(queue, proxy, tars[0], repository)
    worker_id = await busy_worker(queue)
    process.signal(signal.SIGSTOP)
    # Not by the command, which may find that it does not report any more.
    await WorkerRoster(queue.database).drain(worker_id)
    other = worker(PUSH_QUEUE_LEASE_SECONDS="5")
    hold.release()
    await succeeded(queue, running)
    outcomes = [attempt.outcome for attempt in await queue.attempts(running)]
    assert outcomes == [Outcome.LOST, Outcome.SUCCEEDED]
    assert other.terminate() == 0
    waiting = await queue.enqueue(tars[1], f"{proxy.host}/{repository}:2")
    process.signal(signal.SIGCONT)
    assert await asyncio.to_thread(process.wait) == 0
    assert (await queue.status(waiting.id)).state is JobState.QUEUED
    assert await queue.workers() == ()


async def test_a_server_pauses_and_drains(
    queue: PushQueue, cli: Cli, server: ApiServer, worker: StartWorker
) -> None:
    process: ManagedProcess = worker()
    at = ("--server", server.url)
    assert cli("pause", "--for", "10m", *at).stdout.startswith("the queue is paused until 2")
    (row,) = cli("workers", *at).stdout.splitlines()[1:]
    assert row.split("\t")[1] == "paused"
    assert cli("resume", *at).stdout == "the queue is not paused\n"
    host = "localhost:5000"
    assert cli("registries", "pause", host, *at).stdout.startswith(f"{host} is paused since 2")
    assert host in cli("registries", *at).stdout
    assert cli("registries", "resume", host, *at).stdout == f"{host} is not paused\n"
    bad = cli("registries", "pause", "a b", *at)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
    (found,) = await queue.workers()
    done = cli("drain", found.id, "--wait", *at)
    assert (done.returncode, done.stdout) == (0, f"{found.id} draining: 0 jobs left\n")
    assert process.wait() == 0
    assert cli("drain", found.id, *at).returncode == 2
