"""The whole fleet keeps to a registry's limit, and a registry that is down holds up no other."""

import asyncio
import random
from pathlib import Path

import pytest
from redis.asyncio import Redis

from producer import JobState, PushQueue
from push_queue.models.job_status import Outcome
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from tests.support.images import docker_legacy, layer_tar, make_image, write_archive
from tests.support.processes import free_port
from tests.support.proxy import FaultProxy, Request, is_manifest_put, is_patch
from tests.support.servers import StartWorker
from tests.support.skopeo import skopeo_inspect
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration


def write_images(folder: Path, count: int) -> list[Path]:
    """Images that share nothing, each with a layer too large to be sent in one piece."""
    contents = (random.Random(number).randbytes(1_500_000) for number in range(count))
    images = (make_image(layer_tar({"app/data": content})) for content in contents)
    return [
        write_archive(folder / f"{number}.tar", docker_legacy, image).path
        for number, image in enumerate(images)
    ]


async def test_the_fleet_sends_no_more_blobs_at_once_than_the_registry_takes(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_url: str, repository: str
) -> None:
    for _ in range(2):
        worker(PUSH_QUEUE_REGISTRY_MAX_UPLOADS="2", PUSH_QUEUE_MAX_JOBS="4")
    async with FaultProxy(registry_url) as proxy:
        holds = [proxy.hold(is_patch) for _ in range(3)]
        jobs = [
            await queue.enqueue(path, f"{proxy.host}/{repository}-{number}:1", max_attempts=1)
            for number, path in enumerate(write_images(tmp_path, 12))
        ]
        for hold in holds[:2]:
            await hold.reached.wait()

        async def told_why() -> bool:
            return any(job.waiting_for for job in await queue.list(limit=20))

        await becomes(told_why)
        assert proxy.count(is_patch) == 2
        assert not holds[2].reached.is_set()
        for hold in holds:
            hold.release()
        done = [await queue.wait(job.id, timeout=60) for job in jobs]
    assert {(job.state, job.attempt) for job in done} == {(JobState.SUCCEEDED, 1)}


async def test_a_registry_that_says_nothing_keeps_no_other_from_its_images(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_host: str,
    repository: str,
) -> None:
    """Two jobs run into it, and there is room for two."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    (path,) = write_images(tmp_path, 1)
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    worker(PUSH_QUEUE_MAX_JOBS="2", PUSH_QUEUE_REGISTRY_TIMEOUT_SECONDS="1")
    hung = [await queue.enqueue(path, f"{host}/app:{number}") for number in range(4)]
    good = await queue.enqueue(path, f"{registry_host}/{repository}:1")
    assert (await queue.wait(good.id, timeout=60)).state is JobState.SUCCEEDED
    for job in hung:
        await queue.cancel(job.id)
    server.close()


async def test_jobs_of_a_dead_registry_wait_without_an_attempt(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_host: str,
    repository: str,
) -> None:
    (path,) = write_images(tmp_path, 1)
    host = f"127.0.0.1:{free_port()}"
    worker(PUSH_QUEUE_MAX_JOBS="1")
    dead = [await queue.enqueue(path, f"{host}/app:{number}") for number in range(10)]
    good = await queue.enqueue(path, f"{registry_host}/{repository}:1")
    assert (await queue.wait(good.id, timeout=60)).state is JobState.SUCCEEDED

    async def others_wait() -> bool:
        jobs = [await queue.status(job.id) for job in dead]
        return any(job.waiting_for and job.attempt == 0 and host in job.waiting_for for job in jobs)

    await becomes(others_wait)
    for job in dead:
        await queue.cancel(job.id)


async def test_a_pause_that_a_registry_asks_for_holds_for_all_workers(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    first, second = write_images(tmp_path, 2)
    worker(PUSH_QUEUE_MAX_JOBS="1")
    async with FaultProxy(registry_url) as proxy:
        proxy.answer(is_upload_start, status=429, headers={"Retry-After": "600"})
        job = await queue.enqueue(first, f"{proxy.host}/{repository}-1:1", max_attempts=1)

        async def paused() -> bool:
            return bool(await queue.attempts(job.id))

        await becomes(paused)
        sent = len(proxy.requests)
        worker(PUSH_QUEUE_MAX_JOBS="1")
        other = await queue.enqueue(second, f"{proxy.host}/{repository}-2:1", max_attempts=1)

        async def waits() -> bool:
            return proxy.host in ((await queue.status(other.id)).waiting_for or "")

        await becomes(waits)
        assert len(proxy.requests) == sent, "nobody asks while the pause lasts"
        assert (await queue.status(other.id)).attempt == 0
        (attempt,) = await queue.attempts(job.id)
        assert (attempt.outcome, attempt.error_kind) == (Outcome.DEFERRED, "rate_limited")
        assert (await queue.status(job.id)).state is JobState.QUEUED, "no attempt is used up"


async def test_a_registry_that_asks_for_a_pause_keeps_no_other_target_from_its_image(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
    redis: Redis,
    keys: Keys,
) -> None:
    """The pause begins when the job has sent its first layer to both."""
    database = Database(redis, keys)
    contents = (random.Random(number).randbytes(1_500_000) for number in range(2))
    image = make_image(*(layer_tar({"app/data": content}) for content in contents))
    path = write_archive(tmp_path / "image.tar", docker_legacy, image).path
    worker(PUSH_QUEUE_JOB_UPLOADS="1")
    async with FaultProxy(registry_url) as busy, FaultProxy(registry_url) as good:
        held = busy.hold(is_patch, after=100_000)
        targets = [f"{busy.host}/{repository}-1:1", f"{good.host}/{repository}-2:1"]
        job = await queue.enqueue(path, targets, max_attempts=1)
        await held.reached.wait()
        await RegistryLimits(database, 50).pause(busy.host, "too many requests", 6)
        held.release()

        async def good_one_is_done() -> bool:
            return bool((await queue.status(job.id)).results)

        await becomes(good_one_is_done)
        fence = await database.ask(redis.hget(keys.job(job.id), "fence"))
        assert fence == b"1", "in the attempt under way"
        sent = good.bytes_sent()
        status = await queue.wait(job.id, timeout=60)
        assert good.bytes_sent() == sent, "nothing is sent there again"
    assert (status.state, status.attempt) == (JobState.SUCCEEDED, 1)
    assert [result.target for result in status.results] == targets
    outcomes = [attempt.outcome for attempt in await queue.attempts(job.id)]
    assert outcomes == [Outcome.SUCCEEDED], "waiting for a slot is no attempt"


async def test_the_last_of_twenty_jobs_has_the_tag(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_url: str, repository: str
) -> None:
    """Older jobs are still held at the registry long after newer ones have written the tag."""
    for _ in range(2):
        worker()
    paths = write_images(tmp_path, 20)
    async with FaultProxy(registry_url) as proxy:
        target = f"{proxy.host}/{repository}:latest"
        holds = [proxy.hold(is_tag_put_by_digest) for _ in range(3)]
        jobs = [await queue.enqueue(path, target) for path in paths[:-1]]
        for hold in holds:
            await hold.reached.wait()
        jobs.append(await queue.enqueue(paths[-1], target))
        last = await queue.wait(jobs[-1].id, timeout=60)
        for hold in holds:
            hold.release()
        done = [await queue.wait(job.id, timeout=60) for job in jobs]
        assert {job.state for job in done} <= {JobState.SUCCEEDED, JobState.SUPERSEDED}
        assert last.state is JobState.SUCCEEDED
        assert (await asyncio.to_thread(skopeo_inspect, target))["Digest"] == last.digest
        assert sum(job.state is JobState.SUPERSEDED for job in done) >= 3, "those that were held"


def is_upload_start(request: Request) -> bool:
    return request.method == "POST"


def is_tag_put_by_digest(request: Request) -> bool:
    """The manifest by its digest, right before the turn to write the tag."""
    return is_manifest_put(request) and "sha256:" in request.path
