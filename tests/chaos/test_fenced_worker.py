"""A worker that hangs for longer than its lease has lost its job, and writes nothing more."""

import signal
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from push_queue.models.job_status import Outcome
from tests.support.big_images import write_big_archive
from tests.support.proxy import FaultProxy, Request, is_manifest_put, is_patch
from tests.support.servers import StartWorker
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

LEASE = {"PUSH_QUEUE_LEASE_SECONDS": "3"}


def writes_the_tag(request: Request) -> bool:
    return is_manifest_put(request) and request.path.endswith("/manifests/1")


async def test_a_paused_worker_writes_nothing_when_it_goes_on(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    paused = worker(**LEASE)
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
        paused.signal(signal.SIGSTOP)
        successor = worker(**LEASE)
        done = await queue.wait(job.id, timeout=60)
        assert done.state is JobState.SUCCEEDED

        hold.release()
        paused.signal(signal.SIGCONT)

        async def has_noticed() -> bool:
            lines = paused.log.splitlines()
            return any("stopped: lost" in line and f"job={job.id}" in line for line in lines)

        await becomes(has_noticed)
        again = await queue.enqueue(big.path, f"{proxy.host}/{repository}:2")
        successor.kill()
        assert (await queue.wait(again.id, timeout=60)).state is JobState.SUCCEEDED, "it goes on"
        assert proxy.count(writes_the_tag) == 1
    assert await queue.status(job.id) == done
    outcomes = [attempt.outcome for attempt in await queue.attempts(job.id)]
    assert outcomes == [Outcome.LOST, Outcome.SUCCEEDED]
