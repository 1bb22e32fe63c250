"""A queue whose Redis is found by a sentinel, and goes on when another server takes over."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from producer import JobState, PushQueue, RedisUnavailableError
from push_queue import load_settings
from tests.support.processes import ManagedProcess, free_port
from tests.support.servers import redis_answers, valkey_server

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"


class Watched:
    """A primary, its replica, and a sentinel that has the replica take over."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.primary_port, self.replica_port, self.port = free_port(), free_port(), free_port()
        self.primary = self._start("primary", self.primary_port)
        replicates = ["--replicaof", "127.0.0.1", str(self.primary_port)]
        self.replica = self._start("replica", self.replica_port, *replicates)
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\n"
            f"sentinel monitor uploads 127.0.0.1 {self.primary_port} 1\n"
            "sentinel down-after-milliseconds uploads 500\n"
            "sentinel failover-timeout uploads 3000\n"
        )
        self.sentinel = self._run("sentinel", self.port, [str(config), "--sentinel"])
        self.sentinel.wait_ready(self._knows_the_replica)

    def replicated(self) -> bool:
        """Whether all that was written so far is at the replica."""
        with redis.Redis(port=self.primary_port) as client:
            return bool(client.wait(1, 1000) == 1)

    def _knows_the_replica(self) -> bool:
        with redis.Redis(port=self.port) as client:
            return bool(client.sentinel_slaves("uploads"))

    def _start(self, name: str, port: int, *options: str) -> ManagedProcess:
        own = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        return self._run(name, port, [*own, str(self._folder), *options])

    def _run(self, name: str, port: int, options: list[str]) -> ManagedProcess:
        process = ManagedProcess([valkey_server(), *options], self._folder / f"{name}.log")
        self._stack.enter_context(process)
        process.wait_ready(lambda: redis_answers(f"redis://127.0.0.1:{port}"))
        return process


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with ExitStack() as stack:
        yield Watched(tmp_path, stack)


async def test_the_queue_outlives_a_failover(watched: Watched) -> None:
    settings = load_settings(redis_url=f"redis+sentinel://127.0.0.1:{watched.port}/uploads")
    async with PushQueue.connect(settings) as queue:
        job = await queue.enqueue("/images/app.tar", TARGET)
        await asyncio.to_thread(watched.primary.wait_ready, watched.replicated)
        watched.primary.kill()
        assert (await queue.status(job.id)).state is JobState.QUEUED
        assert (await queue.enqueue("/images/app.tar", TARGET)).id != job.id


async def test_a_service_that_no_sentinel_knows_is_named(watched: Watched) -> None:
    settings = load_settings(redis_url=f"redis+sentinel://127.0.0.1:{watched.port}/other")
    with pytest.raises(RedisUnavailableError, match=r"primary of other \(no sentinel knows it\)"):
        async with PushQueue.connect(settings):
            pass
