"""The bandwidth to a registry that all workers share, with real workers and a real registry."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from producer import JobState, JobStatus, PushQueue, load_settings
from push_queue.redis.keys import Keys
from tests.support.big_images import write_big_archive
from tests.support.proxy import FaultProxy
from tests.support.servers import RedisServer, StartWorker
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

RATE = 1_000_000
BURST = RATE // 2
"""What may go out beyond the rate: what was not used just before, and a last grant."""


def within_the_rate(jobs: Iterable[JobStatus]) -> bool:
    """Whether the jobs took as long, by Redis' clock, as their bytes need at that rate."""
    jobs = list(jobs)
    begin = min(job.started_at for job in jobs if job.started_at)
    end = max(job.finished_at for job in jobs if job.finished_at)
    sent = sum(job.bytes_sent for job in jobs)
    assert sent > 2 * BURST
    return sent <= RATE * (end - begin).total_seconds() + BURST


async def enqueue(
    queue: PushQueue, folder: Path, target: str, count: int, size: int
) -> list[JobStatus]:
    archives = [
        write_big_archive(folder / f"{number}.tar", [size + number]) for number in range(count)
    ]
    return [
        await queue.enqueue(archive.path, f"{target}-{number}:1")
        for number, archive in enumerate(archives)
    ]


async def test_two_workers_together_keep_the_rate(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    for _ in range(2):
        worker(PUSH_QUEUE_MAX_JOBS="2", PUSH_QUEUE_REGISTRY_MAX_RATE=f"{RATE}")
    jobs = await enqueue(queue, tmp_path, f"{registry_host}/{repository}", 4, 1_500_000)
    done = [await queue.wait(job.id, timeout=60) for job in jobs]
    assert {(job.state, job.error) for job in done} == {(JobState.SUCCEEDED, None)}
    assert within_the_rate(done)


async def test_a_worker_that_is_killed_leaves_its_share_to_the_others(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_host: str,
    repository: str,
    redis: Redis,
    keys: Keys,
) -> None:
    settings = {
        "PUSH_QUEUE_MAX_JOBS": "1",
        "PUSH_QUEUE_LEASE_SECONDS": "3",
        "PUSH_QUEUE_REGISTRY_MAX_RATES": f'{{"{registry_host}": "{RATE}"}}',
    }
    doomed, survivor = worker(**settings), worker(**settings)
    jobs = await enqueue(queue, tmp_path, f"{registry_host}/{repository}", 2, 6_000_000)

    async def senders() -> str:
        return b" ".join(await redis.zrange(keys.senders(registry_host), 0, -1)).decode()

    async def both_send() -> bool:
        found = await senders()
        return f"-{survivor.pid}-" in found and f"-{doomed.pid}-" in found

    async def one_sends() -> bool:
        found = await senders()
        return f"-{survivor.pid}-" in found and f"-{doomed.pid}-" not in found

    await becomes(both_send)
    doomed.kill()
    await becomes(one_sends)
    done = [await queue.wait(job.id, timeout=60) for job in jobs]
    assert {(job.state, job.error) for job in done} == {(JobState.SUCCEEDED, None)}


async def test_while_redis_is_away_an_upload_goes_on(
    tmp_path: Path,
    start_redis: Callable[[], RedisServer],
    worker: StartWorker,
    registry_url: str,
    repository: str,
    namespace: str,
) -> None:
    size = 8 * RATE
    server = start_redis()
    worker(PUSH_QUEUE_REDIS_URL=server.url, PUSH_QUEUE_REGISTRY_MAX_RATE=f"{RATE}")
    settings = load_settings(redis_url=server.url, namespace=namespace)
    async with PushQueue.connect(settings) as queue, FaultProxy(registry_url) as proxy:

        async def has_sent(count: int) -> None:
            async def so_much() -> bool:
                return proxy.bytes_sent() >= count

            await becomes(so_much)

        archive = write_big_archive(tmp_path / "big.tar", [size])
        job = await queue.enqueue(archive.path, f"{proxy.host}/{repository}:1", compression="keep")
        await has_sent(RATE // 2)
        await asyncio.to_thread(server.kill)
        await has_sent(min(proxy.bytes_sent() + RATE, size))
        await asyncio.to_thread(server.restart)
        job = await queue.wait(job.id, timeout=60)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
