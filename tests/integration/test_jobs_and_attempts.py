"""The stores' unit tests once more, on a real Valkey: its Lua is not fakeredis' Lua."""

import pytest

from push_queue.models.assignments import Wait
from push_queue.models.ids import new_job_id
from push_queue.redis.keys import Keys
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from tests.unit.push_queue.jobs.test_jobs_and_attempts import *  # noqa: F403 - its tests are ours
from tests.unit.push_queue.jobs.test_jobs_and_attempts import DIGEST, TARGET, a_job, started

pytestmark = pytest.mark.integration


async def test_a_redis_just_started_gives_workers_a_lease_s_time_to_come_back(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    await started(stores)
    before = await stores.jobs.status("job-1")
    careful = Stores(redis, keys, lease_seconds=10**6)
    answer = await careful.attempts.start("job-1", 0, "worker-2")
    assert isinstance(answer, Wait)
    assert 10**6 - 10**5 < answer.seconds <= 10**6
    assert await stores.jobs.status("job-1") == before
    await stores.jobs.create(a_job("job-2"))
    assignment = await careful.attempts.start("job-2", 0, "worker-2")
    assert not isinstance(assignment, Wait), "nobody has it"


async def test_of_an_expired_job_half_a_kilobyte_stays(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    job_id = new_job_id()
    await succeed(stores, await started(stores, job_id), DIGEST)
    for key in (keys.job(job_id), keys.blobs(job_id), keys.attempts(job_id)):
        await redis.delete(key)
    await redis.zadd(keys.finished, {job_id: 0})
    assert await stores.jobs.forget_expired() == 1
    left = [key async for key in redis.scan_iter(match=f"{keys.namespace}:*")]
    own = {keys.tag(TARGET).encode()}
    assert own == {key for key in left if b":tag:" in key or job_id.encode() in key}
    assert await redis.memory_usage(keys.tag(TARGET), samples=0) <= 512
