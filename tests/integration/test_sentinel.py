"""A queue whose Redis is found by a sentinel, and goes on when another server takes over."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer import JobState, PushQueue, RedisUnavailableError
from push_queue.settings import load_settings
from tests.support.processes import ManagedProcess
from tests.support.sentinel import SentinelRedis, run_sentinel_redis

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"


@pytest.fixture
def sentinel_redis(tmp_path: Path) -> Iterator[SentinelRedis]:
    with run_sentinel_redis(tmp_path / "redis") as servers:
        yield servers


async def test_the_queue_outlives_a_failover(sentinel_redis: SentinelRedis) -> None:
    async with PushQueue.connect(load_settings(redis_url=sentinel_redis.url)) as queue:
        job = await queue.enqueue("/images/app.tar", TARGET)
        await asyncio.to_thread(sentinel_redis.catch_up)
        killed = threading.Event()

        def kill(process: ManagedProcess) -> None:
            process.kill()
            killed.set()

        failover = asyncio.create_task(asyncio.to_thread(sentinel_redis.fail_over, kill))
        await asyncio.to_thread(killed.wait)
        assert (await queue.status(job.id)).state is JobState.QUEUED
        assert (await queue.enqueue("/images/app.tar", TARGET)).id != job.id
        await failover


async def test_a_service_that_no_sentinel_knows_is_named(sentinel_redis: SentinelRedis) -> None:
    url = sentinel_redis.url.replace("/uploads", "/other")
    with pytest.raises(
        RedisUnavailableError, match=r"primary of other \(no live sentinel knows it\)"
    ):
        async with PushQueue.connect(load_settings(redis_url=url)):
            pass
