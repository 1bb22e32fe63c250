"""Several Redis servers as one queue, where one of them is away or nobody listens any more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import pytest
from arq.connections import ArqRedis
from pydantic import SecretStr

from producer import PushQueue, RoutedQueue
from push_queue.errors import RedisUnavailableError
from push_queue.settings import Settings
from tests.support.redis_client import Redis

HERE, THERE = "here.example.com/app:1", "there.example.com/app:1"
SETTINGS = Settings(
    redis_url=SecretStr("redis://here"),
    redis_routes={"there.example.com/*": SecretStr("redis://there")},
)


def connect_to(*clients: Redis) -> Callable[[Settings], AbstractAsyncContextManager[PushQueue]]:
    """As ``PushQueue.connect`` does, to the clients by the URLs of the settings."""
    urls = (SETTINGS.redis_url, *SETTINGS.redis_routes.values())
    servers = dict(zip(urls, clients, strict=True))

    @asynccontextmanager
    async def connect(settings: Settings) -> AsyncIterator[PushQueue]:
        yield PushQueue(ArqRedis(servers[settings.redis_url].connection_pool), settings)

    return connect


@pytest.fixture
async def queue(redis: ArqRedis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RoutedQueue]:
    monkeypatch.setattr(PushQueue, "connect", connect_to(redis, redis))
    async with RoutedQueue.connect(SETTINGS) as queue:
        yield queue


async def test_whoever_watches_may_leave_before_the_end(queue: RoutedQueue) -> None:
    jobs = [await queue.enqueue("/app.tar", target) for target in (HERE, THERE)]
    before = asyncio.all_tasks()
    async with aclosing(queue.watch(*(job.id for job in jobs))) as changes:
        async for _ in changes:
            break
    assert asyncio.all_tasks() == before


async def test_whoever_watches_is_told_that_one_is_away(
    redis: ArqRedis, lost_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PushQueue, "connect", connect_to(redis, lost_redis))
    async with RoutedQueue.connect(SETTINGS) as queue:
        with pytest.raises(RedisUnavailableError):
            async for _ in queue.watch():
                pass
