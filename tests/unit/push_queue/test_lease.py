"""One worker leads, as long as it says that it is there."""

from collections.abc import AsyncIterator

import fakeredis
import pytest
from redis.asyncio import Redis

from push_queue import Database, Keys, Leadership, RedisUnavailableError
from tests.support.redis_clock import RedisClock

SECONDS = 10


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> RedisClock:
    return RedisClock(monkeypatch)


@pytest.fixture
async def redis(server: fakeredis.FakeServer, clock: RedisClock) -> AsyncIterator[Redis]:
    async with fakeredis.FakeAsyncRedis(server=server) as client:
        yield client
        server.connected = True


@pytest.fixture
def workers(redis: Redis) -> tuple[Leadership, Leadership]:
    return candidate(redis), candidate(redis)


def candidate(redis: Redis) -> Leadership:
    return Leadership(Database(redis, Keys()), SECONDS)


async def test_one_leads(workers: tuple[Leadership, Leadership]) -> None:
    one, two = workers
    assert [await one.held(), await two.held(), await one.held()] == [True, False, True]


async def test_namespaces_have_their_own(redis: Redis) -> None:
    for namespace in ("push", "a.b-c"):
        assert await Leadership(Database(redis, Keys(namespace)), SECONDS).held()


async def test_it_leads_for_as_long_as_it_asks(
    workers: tuple[Leadership, Leadership], clock: RedisClock
) -> None:
    one, two = workers
    for _ in range(3):
        assert await one.held()
        clock.advance(SECONDS - 1)
        assert not await two.held()


async def test_another_takes_over_when_it_is_silent(
    workers: tuple[Leadership, Leadership], clock: RedisClock
) -> None:
    one, two = workers
    assert await one.held()
    clock.advance(SECONDS + 1)
    assert [await two.held(), await one.held(), await two.held()] == [True, False, True]
    clock.advance(SECONDS + 1)
    assert await one.held(), "in its turn"


async def test_who_was_silent_and_is_alone_leads_again(
    workers: tuple[Leadership, Leadership], clock: RedisClock
) -> None:
    one, two = workers
    assert await one.held()
    clock.advance(SECONDS + 1)
    assert await one.held()
    assert not await two.held()


async def test_nobody_leads_without_redis(
    workers: tuple[Leadership, Leadership], server: fakeredis.FakeServer
) -> None:
    one, _ = workers
    assert await one.held()
    server.connected = False
    with pytest.raises(RedisUnavailableError):
        await one.held()
    server.connected = True
    assert await one.held()
