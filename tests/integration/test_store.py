"""The store's unit tests once more, on a real Valkey: its Lua is not fakeredis' Lua."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from push_queue import Keys
from tests.unit.push_queue.test_store import *  # noqa: F403 - its tests are ours

pytestmark = pytest.mark.integration


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def keys(namespace: str) -> Keys:
    return Keys(namespace)
