"""The tests of unreadable records, on a real Valkey: its Lua is not fakeredis' Lua."""

from collections.abc import AsyncIterator, Callable

import pytest
from arq.connections import ArqRedis

from push_queue.redis.connection import connect
from push_queue.settings import load_settings
from tests.support.servers import RedisServer
from tests.unit.push_queue.jobs.test_unreadable import *  # noqa: F403 - its tests are ours
from tests.unit.push_queue.jobs.test_unreadable import KEYS

pytestmark = pytest.mark.integration


@pytest.fixture
async def redis(start_redis: Callable[[], RedisServer]) -> AsyncIterator[ArqRedis]:
    settings = load_settings(redis_url=start_redis().url, namespace=KEYS.namespace)
    async with await connect(settings) as client:
        yield client
