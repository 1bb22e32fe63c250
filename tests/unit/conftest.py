"""A Redis in this process, and the stores on it."""

from collections.abc import AsyncIterator

import fakeredis
import pytest
from arq.connections import ArqRedis

from push_queue.redis.connection import arq_options
from push_queue.redis.keys import Keys
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> RedisClock:
    return RedisClock(monkeypatch)


@pytest.fixture
def server() -> fakeredis.FakeServer:
    """With ``connected = False`` it is down."""
    return fakeredis.FakeServer()


@pytest.fixture
async def redis(server: fakeredis.FakeServer, keys: Keys) -> AsyncIterator[ArqRedis]:
    async with fakeredis.FakeAsyncRedis(server=server) as fake:
        yield ArqRedis(fake.connection_pool, default_queue_name=keys.queue, **arq_options())
        server.connected = True


@pytest.fixture
async def lost_redis() -> AsyncIterator[Redis]:
    """A client whose server is gone."""
    server = fakeredis.FakeServer()
    server.connected = False
    async with fakeredis.FakeAsyncRedis(server=server) as client:
        yield client


@pytest.fixture
def stores(redis: ArqRedis, keys: Keys) -> Stores:
    return Stores(redis, keys)
