"""The producer on a Redis that goes down and comes back."""

import asyncio
from collections.abc import Callable

import pytest

from producer import JobState, PushQueue
from push_queue.models.assignments import Assignment
from push_queue.redis.connection import connect
from push_queue.redis.keys import Keys
from push_queue.settings import load_settings
from tests.support.assignments import succeed
from tests.support.servers import RedisServer
from tests.support.stores import Stores

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"
DIGEST = "sha256:" + "d" * 64


async def finish(redis_url: str, job_id: str) -> None:
    """What a worker does, on a connection of its own."""
    settings = load_settings(redis_url=redis_url)
    async with await connect(settings) as redis:
        stores = Stores(redis, Keys(settings.namespace))
        assignment = await stores.attempts.start(job_id, 0, "worker")
        assert isinstance(assignment, Assignment)
        await succeed(stores, assignment, DIGEST)


async def test_waiting_goes_on_after_a_restart(start_redis: Callable[[], RedisServer]) -> None:
    server = start_redis()
    async with PushQueue.connect(load_settings(redis_url=server.url)) as queue:
        job = await queue.enqueue("/images/app.tar", TARGET)
        changes = queue.watch(job.id)
        assert (await anext(changes)).state is JobState.QUEUED
        await asyncio.to_thread(server.restart)
        await finish(server.url, job.id)
        assert [change.state async for change in changes][-1] is JobState.SUCCEEDED


async def test_enqueueing_rides_out_a_restart(start_redis: Callable[[], RedisServer]) -> None:
    server = start_redis()
    async with PushQueue.connect(load_settings(redis_url=server.url)) as queue:
        await queue.enqueue("/images/app.tar", TARGET, job_id="before")
        server.kill()
        enqueueing = asyncio.create_task(queue.enqueue("/images/app.tar", TARGET, job_id="while"))
        await asyncio.to_thread(server.start)
        await enqueueing
        assert [job.id for job in await queue.list()] == ["while", "before"]


async def test_namespaces_do_not_see_each_other(redis_url: str, namespace: str) -> None:
    one = load_settings(redis_url=redis_url, namespace=f"{namespace}-1")
    other = load_settings(redis_url=redis_url, namespace=f"{namespace}-2")
    async with PushQueue.connect(one) as first, PushQueue.connect(other) as second:
        await first.enqueue("/images/app.tar", TARGET, job_id="same")
        await second.enqueue("/images/other.tar", TARGET, job_id="same")
        await first.cancel("same")
        assert (await second.status("same")).state is JobState.QUEUED
        assert [job.source for job in await second.list()] == ["/images/other.tar"]
