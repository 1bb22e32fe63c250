"""A tag write that arrives after a newer job's, of a worker that hung, died or was cut off.

ROUNDS makes it more rounds, as `make chaos` does.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.chaos.read_back import read_tag
from tests.support.images import layer_tar, make_image, oci_blobs, sha256_digest, write_archive
from tests.support.processes import ManagedProcess
from tests.support.proxy import FaultProxy, Hold, Request, is_manifest_put
from tests.support.servers import RedisServer, StartWorker
from tests.support.waiting import becomes

ROUNDS = int(os.environ.get("ROUNDS", "1"))
SETTINGS = {"PUSH_QUEUE_LEASE_SECONDS": "2", "PUSH_QUEUE_REGISTRY_TIMEOUT_SECONDS": "4"}
LONG = 60
"""Enough seconds for a lease, a time-out, or a change of the leader."""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600 + LONG * ROUNDS)]


@dataclass
class Stage:
    """One round: an old and a new image, two workers, and a tag of its own."""

    queue: PushQueue
    archives: dict[str, Path]
    workers: list[ManagedProcess]
    proxy: FaultProxy
    tag: str

    async def enqueue(self, image: str) -> str:
        target = f"{self.proxy.host}/{self.tag}"
        return (await self.queue.enqueue(self.archives[image], target)).id

    async def push(self, image: str) -> None:
        job_id = await self.enqueue(image)
        assert (await self.queue.wait(job_id, timeout=LONG)).state is JobState.SUCCEEDED

    def detain(self, *, cut: bool = False) -> Hold:
        """The next write of the tag."""
        name = self.tag.rpartition(":")[2]

        def writes_the_tag(request: Request) -> bool:
            return is_manifest_put(request) and request.path.endswith(f"/manifests/{name}")

        return self.proxy.detain(writes_the_tag, cut=cut)

    async def at_work(self, job_id: str) -> ManagedProcess:
        """The worker that runs the job."""
        name = (await self.queue.status(job_id)).worker
        (process,) = (worker for worker in self.workers if f"-{worker.pid}-" in f"{name}")
        return process


async def stalled(stage: Stage) -> Hold:
    """It continues when the newer job has written the tag, and even gets its answer."""
    late = stage.detain()
    old = await stage.enqueue("old")
    await late.reached.wait()
    worker = await stage.at_work(old)
    worker.signal(signal.SIGSTOP)
    await stage.push("new")
    worker.signal(signal.SIGCONT)
    return late


async def killed(stage: Stage) -> Hold:
    late = stage.detain()
    old = await stage.enqueue("old")
    await late.reached.wait()
    worker = await stage.at_work(old)
    worker.kill()
    await stage.push("new")
    return late


async def cut(stage: Stage) -> Hold:
    """The connection; it writes the tag once more, and knows of no other write."""
    late = stage.detain(cut=True)
    await stage.push("old")
    await stage.push("new")
    return late


@pytest.mark.parametrize("happens", [stalled, killed, cut])
async def test_the_newer_image_is_at_the_tag_in_the_end(
    happens: Callable[[Stage], Awaitable[Hold]],
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    shared_redis: RedisServer,
    namespace: str,
    registry_url: str,
    repository: str,
) -> None:
    images = {name: make_image(layer_tar({name: b""}), created=name) for name in ("old", "new")}
    archives = {
        name: write_archive(tmp_path / f"{name}.tar", oci_blobs, image).path
        for name, image in images.items()
    }
    workers = [worker(**SETTINGS) for _ in range(2)]
    async with FaultProxy(registry_url) as proxy:
        for number in range(ROUNDS):
            tag = f"{repository}:{number}"
            late = await happens(Stage(queue, archives, workers, proxy, tag))
            late.release()
            await late.answered.wait()

            async def is_watched_no_more() -> bool:
                with shared_redis.client() as redis:
                    return not redis.exists(f"{namespace}:writes")

            await becomes(is_watched_no_more, timeout=LONG)
            held = read_tag(registry_url, tag)
            assert held is not None
            assert held.config_digest == sha256_digest(images["new"].config)
            put_back = f"/{tag} showed an outdated image"
            assert any(put_back in worker.log for worker in workers), "it came too early"
            for dead in [worker for worker in workers if worker.returncode is not None]:
                workers.remove(dead)
                workers.append(worker(**SETTINGS))
