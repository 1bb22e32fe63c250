"""Workers with pushes in flight while the primary of their Redis changes, or stops answering."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from producer import JobState, JobStatus, PushQueue, load_settings
from push_queue.models.job_status import Outcome
from tests.support.big_images import write_big_archive
from tests.support.processes import ManagedProcess, free_port
from tests.support.proxy import FaultProxy, is_patch
from tests.support.sentinel import SentinelRedis, run_sentinel_redis
from tests.support.servers import RedisServer, wait_for_worker, worker_process
from tests.support.skopeo import skopeo_inspect
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

WORKERS = 2
JOBS = 4
AWAY, BACK = "Redis is down", "Redis is back"


@dataclass(frozen=True)
class Fleet:
    """Workers that are in the middle of sending each job's layer, until the pushes are let go."""

    workers: list[ManagedProcess]
    queue: PushQueue
    jobs: list[JobStatus]
    let_go: Callable[[], None]

    async def says(self, word: str) -> None:
        """Wait until each worker's log has the word."""

        async def said() -> bool:
            return all(word in worker.log for worker in self.workers)

        await becomes(said)

    async def done(self, registry_host: str) -> None:
        """Each job is done, by the attempt that it was in, and its tag names its image."""
        done = [await self.queue.wait(job.id, timeout=60) for job in self.jobs]
        assert [(job.state, job.error) for job in done] == [(JobState.SUCCEEDED, None)] * JOBS
        for job in done:
            (attempt,) = await self.queue.attempts(job.id)
            assert attempt.outcome is Outcome.SUCCEEDED
            (target,) = job.targets
            _, _, path = target.partition("/")
            held = await asyncio.to_thread(skopeo_inspect, f"{registry_host}/{path}")
            assert held["Digest"] == job.digest
        assert [worker.returncode for worker in self.workers] == [None] * WORKERS

    def said_once(self, word: str) -> None:
        assert [worker.log.count(word) for worker in self.workers] == [1] * WORKERS


@asynccontextmanager
async def pushing(
    url: str, server: RedisServer, namespace: str, folder: Path, registry_url: str, repository: str
) -> AsyncIterator[Fleet]:
    """`server` is the primary that the URL leads to."""
    env = {
        "PUSH_QUEUE_REDIS_URL": url,
        "PUSH_QUEUE_NAMESPACE": namespace,
        "PUSH_QUEUE_MAX_JOBS": str(JOBS // WORKERS),
    }
    with ExitStack() as stack:
        workers = [worker_process(folder / f"worker-{n}.log", env) for n in range(WORKERS)]
        for process in workers:
            stack.enter_context(process)
            await asyncio.to_thread(wait_for_worker, process, server.url, namespace)
        settings = load_settings(redis_url=url, namespace=namespace)
        async with PushQueue.connect(settings) as queue, FaultProxy(registry_url) as proxy:
            holds = [proxy.hold(is_patch, after=1_000_000) for _ in range(JOBS)]
            archives = [
                write_big_archive(folder / f"{n}.tar", [6_000_000], seed=n) for n in range(JOBS)
            ]
            jobs = [
                await queue.enqueue(
                    archive.path, f"{proxy.host}/{repository}-{number}:1", max_attempts=1
                )
                for number, archive in enumerate(archives)
            ]
            for hold in holds:
                await hold.reached.wait()

            def let_go() -> None:
                for hold in holds:
                    hold.release()

            yield Fleet(workers, queue, jobs, let_go)


@pytest.fixture
def sentinel_redis(tmp_path: Path) -> Iterator[SentinelRedis]:
    with run_sentinel_redis(tmp_path / "redis") as servers:
        yield servers


def kill(redis: SentinelRedis) -> None:
    redis.fail_over(ManagedProcess.kill)


def stop(redis: SentinelRedis) -> None:
    """The kernel still accepts connections to it, but nothing answers."""
    redis.fail_over(lambda process: process.signal(signal.SIGSTOP))


def hand_over(redis: SentinelRedis) -> None:
    """The old primary becomes a replica under its connections, which are not closed."""
    old = redis.fail_over(lambda _: redis.hand_over())
    with old.client() as client:
        client.replicaof("127.0.0.1", str(redis.primary.port))
        client.client_unpause()


@pytest.mark.parametrize("strike", [kill, stop, hand_over])
async def test_pushes_in_flight_outlive_a_failover(
    strike: Callable[[SentinelRedis], None],
    sentinel_redis: SentinelRedis,
    tmp_path: Path,
    namespace: str,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    async with pushing(
        sentinel_redis.url, sentinel_redis.primary, namespace, tmp_path, registry_url, repository
    ) as fleet:
        await asyncio.to_thread(sentinel_redis.catch_up)
        await asyncio.to_thread(strike, sentinel_redis)
        fleet.let_go()
        await fleet.done(registry_host)
        await fleet.says(BACK)
        fleet.said_once(AWAY)
        fleet.said_once(BACK)


async def test_pushes_in_flight_outlive_the_end_of_all_connections(
    start_redis: Callable[[], RedisServer],
    tmp_path: Path,
    namespace: str,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    redis = start_redis()
    async with pushing(redis.url, redis, namespace, tmp_path, registry_url, repository) as fleet:
        with redis.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        fleet.let_go()
        await fleet.done(registry_host)


async def test_workers_wait_for_a_primary_that_became_a_replica(
    start_redis: Callable[[], RedisServer],
    tmp_path: Path,
    namespace: str,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    """As behind an address that leads to the next primary soon."""
    redis = start_redis()
    async with pushing(redis.url, redis, namespace, tmp_path, registry_url, repository) as fleet:
        with redis.client() as client:
            client.replicaof("127.0.0.1", str(free_port()))
            await fleet.says(AWAY)
            client.replicaof("NO", "ONE")
        fleet.let_go()
        await fleet.done(registry_host)
        await fleet.says(BACK)
        fleet.said_once(BACK)
