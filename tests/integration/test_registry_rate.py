"""The bandwidth to a registry that all workers share, with real workers and a real registry."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from producer import JobState, JobStatus, PushQueue, load_settings
from push_queue.redis.keys import Keys
from tests.support.big_images import write_big_archive
from tests.support.cutting_proxy import CuttingProxy
from tests.support.proxy import FaultProxy
from tests.support.servers import RedisServer, StartWorker
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

RATE = 1_000_000
BURST = RATE // 2
"""What may go out beyond the rate: what was not used just before, and a last grant."""
LONGER = 2.5
"""Seconds of the rate that may go out beyond it while workers are stopped or Redis is slow."""
LEAST_BYTES = 16384
REDIS_SECONDS = 0.26
"""How late a slow Redis answers: later than a share lasts."""
REPOSITORY = "stopped/app"
BLOBS = f"/v2/{REPOSITORY}"
PIECE = 64 << 10


def within_the_rate(jobs: Iterable[JobStatus]) -> bool:
    """Whether the jobs took as long, by Redis' clock, as their bytes need at that rate."""
    jobs = list(jobs)
    begin = min(job.started_at for job in jobs if job.started_at)
    end = max(job.finished_at for job in jobs if job.finished_at)
    sent = sum(job.bytes_sent for job in jobs)
    assert sent > 2 * BURST
    return sent <= RATE * (end - begin).total_seconds() + BURST


async def enqueue(
    queue: PushQueue, folder: Path, target: str, count: int, size: int, **options: Any
) -> list[JobStatus]:
    archives = [
        write_big_archive(folder / f"{number}.tar", [size + number]) for number in range(count)
    ]
    return [
        await queue.enqueue(archive.path, f"{target}-{number}:1", **options)
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


class LateProxy(CuttingProxy):
    """In front of a Redis: passes on each answer some ``seconds`` late."""

    seconds = 0.0

    async def _back(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await upstream.read(PIECE):
                asyncio.get_running_loop().call_later(self.seconds, writer.write, data)


class Meter:
    """Whether no more has come to a registry than the fleet may have sent to it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def sent(self) -> int:
        return self._proxy.bytes_sent(BLOBS)

    def check(self) -> None:
        """Fails if it is more. What comes late here is counted for a longer time."""
        if not any(request.path.startswith(BLOBS) for request in self._proxy.requests):
            self._began = self._loop.time()
        sent = self.sent
        assert sent <= RATE * (self._loop.time() - self._began + LONGER) + LEAST_BYTES

    async def until(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            self.check()
            return condition()

        await becomes(holds)

    async def has_sent(self, count: int) -> None:
        await self.until(lambda: self.sent >= count)


async def test_no_more_is_sent_when_workers_are_stopped_and_killed_and_redis_is_slow_and_hangs(
    tmp_path: Path,
    start_redis: Callable[[], RedisServer],
    worker: StartWorker,
    registry_url: str,
    namespace: str,
) -> None:
    server = start_redis()
    settings = load_settings(redis_url=server.url, namespace=namespace)
    async with (
        PushQueue.connect(settings) as queue,
        LateProxy(f"127.0.0.1:{server.port}") as redis,
        FaultProxy(registry_url) as proxy,
    ):
        env = {
            "PUSH_QUEUE_REDIS_URL": f"redis://{redis.host}/0",
            "PUSH_QUEUE_MAX_JOBS": "1",
            "PUSH_QUEUE_LEASE_SECONDS": "5",
            "PUSH_QUEUE_REGISTRY_MAX_RATE": f"{RATE}",
        }
        fleet = (asyncio.to_thread(worker, **env) for _ in range(2))
        stopped, killed = await asyncio.gather(*fleet)
        redis.seconds = REDIS_SECONDS
        target = f"{proxy.host}/{REPOSITORY}"
        jobs = await enqueue(queue, tmp_path, target, 2, 4_000_000, compression="keep")
        meter = Meter(proxy)
        await meter.has_sent(RATE // 2)
        stopped.signal(signal.SIGSTOP)
        await meter.has_sent(RATE)
        stopped.signal(signal.SIGCONT)
        killed.kill()
        await meter.has_sent(2 * RATE)
        server.process.signal(signal.SIGSTOP)
        before = meter.sent
        await meter.until(lambda: "Redis is down" in stopped.log)
        assert meter.sent <= before + 1.5 * RATE
        server.process.signal(signal.SIGCONT)
        done = asyncio.gather(*(queue.wait(job.id, timeout=60) for job in jobs))
        await meter.until(done.done)
        assert {(job.state, job.error) for job in await done} == {(JobState.SUCCEEDED, None)}
