"""Several Redis servers as one queue, where one of them is away or nobody listens any more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import pytest
from arq.connections import ArqRedis
from pydantic import SecretStr

from producer import PushQueue, RoutedQueue
from producer.routed_queue import ROUTES, URL
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
        with pytest.raises(RedisUnavailableError, match=f"set {ROUTES}$"):
            async for _ in queue.watch():
                pass


@pytest.mark.parametrize(
    ("target", "named", "not_named"), [(HERE, URL, ROUTES), (THERE, ROUTES, URL)]
)
async def test_an_error_names_the_variable_that_has_the_url(
    lost_redis: Redis, monkeypatch: pytest.MonkeyPatch, target: str, named: str, not_named: str
) -> None:
    monkeypatch.setattr(PushQueue, "connect", connect_to(lost_redis, lost_redis))
    async with RoutedQueue.connect(SETTINGS) as queue:
        with pytest.raises(RedisUnavailableError) as caught:
            await queue.enqueue("/app.tar", target)
    assert named in str(caught.value)
    assert not_named not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "rediss://127.0.0.1:1", "unix:///none"])
async def test_one_that_cannot_be_connected_to_is_to_be_set_where_it_is(url: str) -> None:
    settings = Settings(redis_routes={"there.example.com/*": SecretStr(url)})
    async with RoutedQueue.connect(settings) as queue:
        with pytest.raises(RedisUnavailableError, match=f"set {ROUTES}$"):
            await queue.enqueue("/app.tar", THERE)
