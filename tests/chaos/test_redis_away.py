"""Redis is down for longer than a lease, under load: no job is affected.

OUTAGE_SECONDS makes it longer, as `make chaos` does.
"""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from producer import JobState, PushQueue, load_settings
from push_queue.models.job_status import Outcome
from tests.chaos.read_back import read_tag
from tests.support.images import layer_tar, make_image, oci_blobs, write_archive
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import RedisServer, StartWorker
from tests.support.waiting import becomes

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "4"))
LEASE_SECONDS = max(1, int(OUTAGE_SECONDS * 3 / 4))
"""As the default of 15 to an outage of 20."""
WORKERS = 2
JOBS = 6
LAYER_BYTES = 4_000_000
UPLOAD_SECONDS = 1.5 * OUTAGE_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600 + 10 * OUTAGE_SECONDS)]


def write_image(path: Path) -> Path:
    content = random.Random(path.name).randbytes(LAYER_BYTES)
    write_archive(path, oci_blobs, make_image(layer_tar({"data": content})))
    return path


async def test_no_upload_starts_again_when_redis_does(
    tmp_path: Path,
    start_redis: Callable[[], RedisServer],
    worker: StartWorker,
    registry_url: str,
    repository: str,
    namespace: str,
) -> None:
    redis = start_redis()
    env = {
        "PUSH_QUEUE_REDIS_URL": redis.url,
        "PUSH_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    workers = [worker(**env) for _ in range(WORKERS)]
    names = [f"{repository}-{number}" for number in range(JOBS)]
    settings = load_settings(redis_url=redis.url, namespace=namespace)
    async with (
        PushQueue.connect(settings) as queue,
        FaultProxy(registry_url, bandwidth=int(LAYER_BYTES / UPLOAD_SECONDS)) as proxy,
    ):
        jobs = [
            await queue.enqueue(
                write_image(tmp_path / f"{number}.tar"), f"{proxy.host}/{name}:1", max_attempts=1
            )
            for number, name in enumerate(names)
        ]

        async def all_upload() -> bool:
            return proxy.count(is_patch) == JOBS

        await becomes(all_upload)
        redis.kill()
        await asyncio.sleep(OUTAGE_SECONDS)  # the outage, not a wait for anything
        await asyncio.to_thread(redis.start)

        done = [await queue.wait(job.id, timeout=60 + 4 * OUTAGE_SECONDS) for job in jobs]
        attempts = [attempt.outcome for job in jobs for attempt in await queue.attempts(job.id)]
    assert [(job.state, job.error) for job in done] == [(JobState.SUCCEEDED, None)] * JOBS
    assert attempts == [Outcome.SUCCEEDED] * JOBS
    assert [process.returncode for process in workers] == [None] * WORKERS
    for name in names:
        image = read_tag(registry_url, f"{name}:1")
        assert image is not None
        assert proxy.bytes_sent(f"/v2/{name}/blobs/") == image.blob_bytes, "each byte once"
