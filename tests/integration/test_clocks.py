"""Workers whose clocks are off: only Redis' clock counts."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.support.clocks import clock_off_by
from tests.support.images import docker_legacy, layer_tar, make_image, write_archive
from tests.support.proxy import FaultProxy, is_manifest_put
from tests.support.servers import StartWorker

pytestmark = pytest.mark.integration

OFF = timedelta(minutes=1)
DELAY = timedelta(seconds=4)
"""Longer than a lease."""
LEASE_SECONDS = "3"
JOBS = 6


@pytest.mark.parametrize("clocks", [[OFF], [-OFF], [OFF, -OFF, timedelta()]])
async def test_jobs_start_when_they_are_due_and_run_once(
    clocks: list[timedelta],
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    image = make_image(layer_tar({"app/name": b"app"}))
    archive = write_archive(tmp_path / "app.tar", docker_legacy, image)
    for off in clocks:
        environment = clock_off_by(off.total_seconds()) if off else {}
        worker(PUSH_QUEUE_LEASE_SECONDS=LEASE_SECONDS, **environment)
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_manifest_put)
        first = await queue.enqueue(archive.path, f"{proxy.host}/{repository}-held:1")
        await hold.reached.wait()
        delayed = [
            await queue.enqueue(
                archive.path, f"{proxy.host}/{repository}-{number}:1", not_before=DELAY
            )
            for number in range(JOBS)
        ]
        async with asyncio.timeout(60):
            for job in delayed:
                async for status in queue.watch(job.id):
                    if status.started_at:
                        break
        assert len(await queue.workers()) == len(clocks)
        hold.release()
        jobs = [await queue.wait(job.id, timeout=60) for job in (first, *delayed)]
    assert {(job.state, job.error) for job in jobs} == {(JobState.SUCCEEDED, None)}
    for job in jobs:
        assert len(await queue.attempts(job.id)) == 1
    for job in jobs[1:]:
        assert job.started_at
        assert DELAY <= job.started_at - job.enqueued_at < OFF
