from collections.abc import AsyncIterator

import fakeredis
import pytest
from arq.connections import ArqRedis

from producer import PushQueue
from push_queue import Keys, Settings, arq_options
from tests.support.stores import Stores


@pytest.fixture
def settings() -> Settings:
    return Settings(redis_url="redis://fake")


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.namespace)


@pytest.fixture
async def redis(keys: Keys) -> AsyncIterator[ArqRedis]:
    async with fakeredis.FakeAsyncRedis() as fake:
        yield ArqRedis(fake.connection_pool, default_queue_name=keys.queue, **arq_options())


@pytest.fixture
def queue(redis: ArqRedis, settings: Settings) -> PushQueue:
    return PushQueue(redis, settings)


@pytest.fixture
def stores(redis: ArqRedis, keys: Keys) -> Stores:
    """The worker's side of the queue."""
    return Stores(redis, keys)
