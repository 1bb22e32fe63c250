"""A job's lease on arq's keys: taken, renewed, given back, and harmless without Redis."""

import asyncio
from types import SimpleNamespace

import fakeredis
import pytest
from arq.constants import in_progress_key_prefix

from push_queue.jobs.arq_queue import ArqQueue
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.settings import load_settings
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.waiting import becomes
from worker.arq_lease import ArqLease, give_lease_back, take_lease

KEYS = Keys()
QUEUE = KEYS.queue
JOB = KEYS.arq_job_id("job-1", 0)
RECORD = KEYS.job("job-1")
IN_PROGRESS = in_progress_key_prefix + JOB
SCORE = 1_700_000_000_000
LONG_MS = 86_400_000
SECONDS = 15


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """As arq leaves it when it starts a job: in the queue, in progress for the longest time."""
    await redis.zadd(QUEUE, {JOB: SCORE})
    await redis.psetex(IN_PROGRESS, LONG_MS, b"1")
    await redis.hset(RECORD, mapping={"state": "queued", "generation": "0"})
    return redis


def lease_of(redis: Redis, seconds: int = SECONDS) -> ArqLease:
    return ArqLease(dispatch_of(redis), JOB, SCORE, seconds)


def dispatch_of(redis: Redis) -> ArqQueue:
    return ArqQueue(Database(redis, KEYS))


async def is_moved(redis: Redis) -> bool:
    """Whether the job is no longer where it was enqueued."""
    return bool(await redis.zscore(QUEUE, JOB) != SCORE)


async def test_a_running_job_is_out_of_the_way_until_the_lease_ends(
    redis: Redis, clock: RedisClock
) -> None:
    lease = lease_of(redis)
    await lease.take()
    assert 0 < await redis.pttl(IN_PROGRESS) <= SECONDS * 1000
    assert await redis.zscore(QUEUE, JOB) == (clock.now + SECONDS) * 1000
    await lease.give_back()


async def test_the_job_s_own_place_comes_back(redis: Redis) -> None:
    lease = lease_of(redis)
    await lease.take()
    await lease.give_back()
    assert await redis.zscore(QUEUE, JOB) == SCORE


@pytest.mark.parametrize("delay", [0.5, 600])
async def test_a_job_that_is_put_off_is_due_when_the_time_has_passed(
    delay: float, redis: Redis, clock: RedisClock
) -> None:
    lease = lease_of(redis)
    await lease.take()
    lease.put_off(delay)
    await lease.give_back()
    assert await redis.zscore(QUEUE, JOB) == (clock.now + delay) * 1000


@pytest.mark.parametrize(
    "change", [{"state": "cancelled"}, {"state": "queued", "generation": "1"}, None]
)
async def test_a_job_that_is_over_is_not_put_off(
    change: dict[str, str] | None, redis: Redis, clock: RedisClock
) -> None:
    lease = lease_of(redis)
    await lease.take()
    if change:
        await redis.hset(RECORD, mapping=change)
    else:
        await redis.delete(RECORD)
    lease.put_off(600)
    await lease.give_back()
    assert await redis.zscore(QUEUE, JOB) == clock.now * 1000


async def test_a_worker_that_dies_over_it_keeps_nobody_from_waking_a_job_that_is_put_off(
    redis: Redis,
) -> None:
    lease = lease_of(redis)
    await lease.take()
    lease.put_off(900)
    await lease.give_back()  # and arq deletes the key, if it lives
    assert await redis.pttl(IN_PROGRESS) <= SECONDS * 1000


async def test_it_is_renewed_while_the_job_runs_and_not_after(redis: Redis) -> None:
    lease = lease_of(redis, seconds=1)
    await lease.take()
    await redis.zadd(QUEUE, {JOB: SCORE})
    await redis.pexpire(IN_PROGRESS, LONG_MS)
    await becomes(lambda: is_moved(redis))
    assert await redis.pttl(IN_PROGRESS) <= 1000
    tasks = asyncio.all_tasks()
    await lease.give_back()
    assert asyncio.all_tasks() < tasks


async def test_a_job_that_is_no_longer_queued_is_not_queued_again(redis: Redis) -> None:
    lease = lease_of(redis)
    await redis.zrem(QUEUE, JOB)
    await lease.take()
    assert await redis.zcard(QUEUE) == 0
    await lease.give_back()
    assert await redis.zcard(QUEUE) == 0


async def test_an_in_progress_key_that_another_worker_deleted_is_put_back(redis: Redis) -> None:
    lease = lease_of(redis)
    await redis.delete(IN_PROGRESS)
    await lease.take()
    assert 0 < await redis.pttl(IN_PROGRESS) <= SECONDS * 1000
    await lease.give_back()


async def test_a_lost_job_keeps_the_place_that_its_new_worker_gives_it(redis: Redis) -> None:
    lease = lease_of(redis)
    await lease.take()
    await redis.zadd(QUEUE, {JOB: SCORE + 7})
    tasks = asyncio.all_tasks()
    await lease.lose()
    await lease.give_back()
    assert await redis.zscore(QUEUE, JOB) == SCORE + 7
    assert asyncio.all_tasks() < tasks


async def test_redis_away_is_no_trouble(
    redis: Redis, server: fakeredis.FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.connected = False
    lease = lease_of(redis)
    await lease.take()
    await lease.give_back()
    assert len(caplog.records) == 2
    assert all("renew the lease" in record.getMessage() for record in caplog.records)


async def test_a_renewal_that_failed_is_made_up_for(
    redis: Redis, server: fakeredis.FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.connected = False
    lease = lease_of(redis, seconds=1)
    await lease.take()

    async def failed_again() -> bool:
        return len(caplog.records) >= 2

    await becomes(failed_again)
    server.connected = True
    await becomes(lambda: is_moved(redis))
    await lease.give_back()


async def test_arq_s_hooks_take_and_give_back(redis: Redis) -> None:
    runtime = SimpleNamespace(queue=dispatch_of(redis), settings=load_settings())
    context = {"runtime": runtime, "job_id": JOB, "score": SCORE}
    await take_lease(context)
    assert await redis.zscore(QUEUE, JOB) > SCORE
    await give_lease_back(context)
    assert await redis.zscore(QUEUE, JOB) == SCORE
