"""A registry that is away or says nothing keeps no other from its images."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.support.images import docker_legacy, layer_tar, make_image, write_archive
from tests.support.processes import ManagedProcess, free_port
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

StartWorker = Callable[..., ManagedProcess]


def write_images(folder: Path, count: int) -> list[Path]:
    """Images that share nothing, so that each has a blob to send."""
    images = (make_image(layer_tar({"app/name": b"app %d" % n * 50_000})) for n in range(count))
    return [
        write_archive(folder / f"{number}.tar", docker_legacy, image).path
        for number, image in enumerate(images)
    ]


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

    await becomes(others_wait, timeout=30)
    for job in dead:
        await queue.cancel(job.id)
