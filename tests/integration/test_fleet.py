"""Workers together: what one of them has compressed or sent, no other does again."""

import asyncio
import io
import subprocess
import sys
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.support.big_images import write_big_archive, write_big_layer
from tests.support.images import (
    Archive,
    docker_legacy,
    layer_tar,
    make_image,
    sha256_digest,
    write_archive,
)
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import StartWorker, clean_environment
from tests.support.skopeo import skopeo_copy_to_dir
from tests.support.spec_registry import SpecRegistry
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration


BASE_BYTES = 30_000_000
IMAGES = 10
WORKERS = 3


def write_family(directory: Path, base_bytes: int, count: int) -> list[Archive]:
    """Images that share a large base layer; each has a small layer of its own."""
    base = io.BytesIO()
    write_big_layer(base, base_bytes)
    images = [
        make_image(base.getvalue(), layer_tar({"app/name": b"app %d" % number}))
        for number in range(count)
    ]
    return [
        write_archive(directory / f"{number}.tar", docker_legacy, image)
        for number, image in enumerate(images)
    ]


async def test_a_base_that_ten_images_share_is_sent_once(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    archives = write_family(tmp_path, BASE_BYTES, IMAGES)
    names = [f"{repository}-{number}:1" for number in range(IMAGES)]
    for _ in range(WORKERS):
        worker(PUSH_QUEUE_MAX_JOBS=str(IMAGES // WORKERS + 1))
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch)
        jobs = [
            await queue.enqueue(archive.path, f"{proxy.host}/{name}")
            for archive, name in zip(archives, names, strict=True)
        ]

        async def all_workers_share_it() -> bool:
            running = await queue.list(JobState.RUNNING)
            return len({job.worker for job in running}) == WORKERS

        await becomes(all_workers_share_it)
        hold.release()
        done = await asyncio.gather(*(queue.wait(job.id, timeout=60) for job in jobs))
        assert {(job.state, job.error) for job in done} == {(JobState.SUCCEEDED, None)}
        assert proxy.count(is_patch) == 1
        sent = proxy.bytes_sent()
    sizes = set()
    for archive, name in zip(archives, names, strict=True):
        pulled = skopeo_copy_to_dir(f"{registry_host}/{name}", tmp_path / name.replace("/", "-"))
        assert pulled.config == archive.image.config
        assert list(map(sha256_digest, pulled.contents)) == archive.image.diff_ids
        sizes.add(len(pulled.layers[0]))
    (base,) = sizes
    assert base < sent < 1.01 * base


async def test_a_dead_uploader_holds_up_nobody_for_long(
    tmp_path: Path, queue: PushQueue, worker: StartWorker
) -> None:
    first, second = write_family(tmp_path, 6_000_000, 2)
    doomed = worker(PUSH_QUEUE_LEASE_SECONDS="3")
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        jobs = [await queue.enqueue(first.path, f"{proxy.host}/one:1")]
        await hold.reached.wait()
        doomed.kill()
        worker()
        jobs.append(await queue.enqueue(second.path, f"{proxy.host}/two:1"))
        done = await asyncio.gather(*(queue.wait(job.id, timeout=60) for job in jobs))
        assert {job.state for job in done} == {JobState.SUCCEEDED}
        bases = {registry.manifest(name, "1")["layers"][0]["digest"] for name in ("one", "two")}
        assert len(bases) == 1


PUSH = """
import asyncio, sys
from registry_api_v2_client import push_docker_tar
path, url, repository, compression = sys.argv[1:]
print(asyncio.run(push_docker_tar(path, url, repository, "1", compression=compression)))
"""


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_two_processes_give_a_layer_the_same_digest(compression: str, tmp_path: Path) -> None:
    big = write_big_archive(tmp_path / "big.tar", [12_000_000, 3_500_000])
    async with SpecRegistry() as registry:
        # Both at once: each has half of the machine, so their threads take turns otherwise.
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PUSH, str(big.path), registry.url, name, compression),
                stdout=subprocess.PIPE,
                env=clean_environment(),
            )
            for name in ("one", "two")
        ]
        outputs = [(await process.communicate())[0] for process in processes]
        assert outputs[0] == outputs[1] != b""
        assert registry.manifest("one", "1") == registry.manifest("two", "1")
