"""The store's unit tests once more, on a real Valkey: its Lua is not fakeredis' Lua."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from push_queue import JobStore, Keys, Wait
from tests.unit.push_queue.test_store import *  # noqa: F403 - its tests are ours
from tests.unit.push_queue.test_store import KEEP_SECONDS, a_job, started

pytestmark = pytest.mark.integration


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def keys(namespace: str) -> Keys:
    return Keys(namespace)


@pytest.fixture
def store(redis: Redis, keys: Keys) -> JobStore:
    """Of leases that are over however short Redis has been up."""
    return JobStore(redis, keys, KEEP_SECONDS, lease_seconds=0)


async def test_a_redis_just_started_gives_workers_a_lease_s_time_to_come_back(
    store: JobStore, redis: Redis, keys: Keys
) -> None:
    await started(store)
    before = await store.status("job-1")
    careful = JobStore(redis, keys, lease_seconds=10**6)
    answer = await careful.start("job-1", 0, "worker-2")
    assert isinstance(answer, Wait)
    assert 10**6 - 10**5 < answer.seconds <= 10**6
    assert await store.status("job-1") == before
    await store.create(a_job("job-2"))
    assert not isinstance(await careful.start("job-2", 0, "worker-2"), Wait), "nobody has it"
