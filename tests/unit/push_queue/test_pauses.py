"""What people pause: the whole queue, a registry; and workers that are drained."""

from datetime import UTC, datetime, timedelta

import pytest

from push_queue.errors import DrainedError
from push_queue.models.assignments import Assignment, Wait
from push_queue.models.fleet import WorkerInfo, WorkerState
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.models.pause import WHOLE_QUEUE
from push_queue.pauses import Pauses
from push_queue.worker_roster import WorkerRoster
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

HOST = "reg.example.com:5000"
OTHER = "other.example.com"
LEASE = 15
DAY = 24 * 3600
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def pauses(stores: Stores) -> Pauses:
    return Pauses(stores.database)


async def create(stores: Stores, job_id: str, *hosts: str) -> None:
    targets = [f"{host}/app:1" for host in hosts or (HOST,)]
    await stores.jobs.create(make_job(id=job_id, source="/a.tar", targets=targets))


async def start(stores: Stores, job_id: str) -> Assignment:
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def waits(stores: Stores, job_id: str) -> str | None:
    """Why the job does not start."""
    assert isinstance(await stores.attempts.start(job_id, 0, "worker"), Wait)
    return (await stores.jobs.status(job_id)).waiting_for


def a_worker(worker_id: str, *, heeds: bool = True) -> WorkerInfo:
    started = datetime(2026, 1, 31, tzinfo=UTC)
    return WorkerInfo(
        id=worker_id, host="h", pid=1, version="1", started_at=started, heeds=heeds
    )  # fmt: skip


async def test_no_job_of_a_paused_queue_is_taken(stores: Stores, pauses: Pauses) -> None:
    await create(stores, "a")
    await pauses.pause(WHOLE_QUEUE)
    assert await stores.queue.take(1, LEASE) == []
    await create(stores, "b")
    await pauses.resume(WHOLE_QUEUE)
    assert len(await stores.queue.take(5, LEASE)) == 2


async def test_a_job_that_was_taken_before_runs(stores: Stores, pauses: Pauses) -> None:
    await create(stores, "a")
    assert await stores.queue.take(1, LEASE)
    await pauses.pause(WHOLE_QUEUE)
    await succeed(stores, await start(stores, "a"), DIGEST)
    assert (await stores.jobs.status("a")).state is JobState.SUCCEEDED


async def test_a_pause_ends_after_its_time(
    stores: Stores, pauses: Pauses, clock: RedisClock
) -> None:
    await create(stores, "a")
    pause = await pauses.pause(WHOLE_QUEUE, seconds=60, by="앨리스", reason="새\n디스크")
    assert (pause.by, pause.reason) == ("앨리스", "새 디스크")
    assert pause.until == pause.since + timedelta(seconds=60)
    assert await pauses.of_queue() == pause
    clock.advance(59)
    assert await stores.queue.take(1, LEASE) == []
    clock.advance(1)
    assert await pauses.of_queue() is None
    assert len(await stores.queue.take(1, LEASE)) == 1


async def test_another_pause_replaces_it(pauses: Pauses, clock: RedisClock) -> None:
    await pauses.pause(WHOLE_QUEUE, seconds=60, reason="first")
    await pauses.pause(WHOLE_QUEUE)
    clock.advance(DAY)
    pause = await pauses.of_queue()
    assert pause is not None
    assert (pause.until, pause.reason) == (None, None)


async def test_what_is_over_is_forgotten(pauses: Pauses, redis: Redis, clock: RedisClock) -> None:
    await pauses.pause(HOST, seconds=60)
    await pauses.pause(OTHER)
    clock.advance(60)
    assert await pauses.forget_past() == 1
    assert await redis.hkeys("push:registry:paused") == [OTHER.encode()]
    await pauses.resume(OTHER)
    assert await redis.exists("push:registry:paused") == 0


@pytest.mark.parametrize(
    "text",
    ["for ever", "[]", "{}", "7", "null", '{"since": "now"}', '{"since": 1, "until": "noon"}'],
)
async def test_one_that_cannot_be_read_stops_nobody(
    stores: Stores, pauses: Pauses, redis: Redis, text: str
) -> None:
    for what in (WHOLE_QUEUE, HOST, "worker/one"):
        await redis.hset("push:registry:paused", what, text)
    await create(stores, "a")
    assert await pauses.all() == {}
    assert len(await stores.queue.take(1, LEASE, "one")) == 1
    assert await stores.limits.take_slot(HOST, "token", 60) == 0
    await start(stores, "a")
    assert await pauses.forget_past() == 3


async def test_a_worker_that_died_while_it_was_drained_is_forgotten(
    stores: Stores, pauses: Pauses, redis: Redis, clock: RedisClock
) -> None:
    await WorkerRoster(stores.database).drain("one")
    clock.advance(6 * DAY)
    assert await pauses.forget_past() == 0, "it may only hang"
    clock.advance(DAY)
    assert await pauses.forget_past() == 1
    assert await redis.dbsize() == 0


async def test_jobs_of_a_paused_registry_wait_and_say_why(stores: Stores, pauses: Pauses) -> None:
    await create(stores, "a")
    await create(stores, "b", OTHER)
    await pauses.pause(HOST, by="앨리스", reason="수리 중")
    assert await waits(stores, "a") == f"{HOST} is paused by 앨리스: 수리 중"
    await start(stores, "b")
    assert await stores.queue.release() == 0
    await pauses.resume(HOST)
    assert await stores.queue.release() == 1
    await start(stores, "a")


async def test_the_other_targets_of_a_job_are_pushed(stores: Stores, pauses: Pauses) -> None:
    await create(stores, "a", HOST, OTHER)
    await pauses.pause(HOST)
    assignment = await start(stores, "a")
    assert assignment.targets == (f"{OTHER}/app:1",)
    assert await succeed(stores, assignment, DIGEST) is JobState.QUEUED
    assert await waits(stores, "a") == f"{HOST} is paused"


async def test_what_is_paused_uses_up_no_patience(
    stores: Stores, pauses: Pauses, clock: RedisClock
) -> None:
    await create(stores, "a")
    await stores.limits.pause(HOST, "is down")
    await waits(stores, "a")
    assert (await stores.jobs.status("a")).give_up_at is not None
    clock.advance(DAY - 10)
    await pauses.pause(HOST)
    await waits(stores, "a")
    clock.advance(DAY)
    await waits(stores, "a")
    assert (await stores.jobs.status("a")).give_up_at is None
    await pauses.resume(HOST)
    await start(stores, "a")


@pytest.mark.parametrize("gives_up", ["while it waits", "in an attempt"])
async def test_a_registry_that_is_given_up_keeps_no_job_from_one_that_is_paused(
    stores: Stores, pauses: Pauses, clock: RedisClock, gives_up: str
) -> None:
    await create(stores, "a", HOST, OTHER)
    await pauses.pause(OTHER)
    await stores.limits.pause(HOST, "is down", kind="timeout")
    await waits(stores, "a")
    clock.advance(DAY)
    if gives_up == "in an attempt":
        assignment = await start(stores, "a")
        await stores.limits.pause(HOST, "is down", kind="timeout")
        state = await stores.attempts.defer(
            assignment, "is down", 0, error_kind="timeout", registry=HOST
        )
        assert state is JobState.QUEUED
    else:
        await stores.limits.pause(HOST, "is down", kind="timeout")
    assert await waits(stores, "a") == f"{OTHER} is paused"
    clock.advance(DAY)
    await pauses.resume(OTHER)
    assignment = await start(stores, "a")
    assert assignment.targets == (f"{OTHER}/app:1",)
    assert await succeed(stores, assignment, DIGEST) is JobState.QUEUED
    assert await stores.attempts.start("a", 0, "worker") is None
    job = await stores.jobs.status("a")
    assert (job.state, job.error, job.error_kind) == (JobState.FAILED, "is down", "timeout")
    assert [result.target for result in job.results] == [f"{OTHER}/app:1"]


async def test_a_source_that_is_away_fails_the_job_though_a_registry_is_paused(
    stores: Stores, pauses: Pauses, clock: RedisClock
) -> None:
    await create(stores, "a", HOST, OTHER)
    await pauses.pause(OTHER)
    assignment = await start(stores, "a")
    clock.advance(DAY)
    assert (
        await stores.attempts.defer(assignment, "no tar", 5, error_kind="source_unavailable")
        is JobState.FAILED
    )


async def test_uploads_under_way_go_on_and_no_other_begins(stores: Stores, pauses: Pauses) -> None:
    assert await stores.limits.take_slot(HOST, "one", 60) == 0
    await pauses.pause(HOST)
    assert await stores.limits.take_slot(HOST, "one", 60) == 0
    assert await stores.limits.take_slot(HOST, "two", 60) < 0
    assert await stores.limits.take_slot(OTHER, "two", 60) == 0
    await pauses.resume(HOST)
    assert await stores.limits.take_slot(HOST, "two", 60) == 0


@pytest.mark.parametrize("probe", [True, False])
async def test_no_success_of_a_job_ends_it(
    stores: Stores, pauses: Pauses, clock: RedisClock, probe: bool
) -> None:
    await create(stores, "a")
    await create(stores, "b")
    if probe:
        await stores.limits.pause(HOST, "is down")
        clock.advance(60)
    assignment = await start(stores, "a")
    await pauses.pause(HOST)
    await stores.attempts.progress(
        assignment, bytes_done=1, bytes_total=9, blobs_done=0, blobs_total=1
    )
    await succeed(stores, assignment, DIGEST)
    assert await waits(stores, "b") == f"{HOST} is paused"
    await stores.limits.pause(HOST, "is down")
    clock.advance(60)
    assert await waits(stores, "b") == f"{HOST} is paused"


async def test_to_resume_ends_what_the_registry_began_too(stores: Stores, pauses: Pauses) -> None:
    await create(stores, "a")
    await stores.limits.pause(HOST, "asks for an hour", 3600)
    await waits(stores, "a")
    await pauses.resume(HOST)
    await start(stores, "a")


async def test_a_paused_registry_is_shown_though_nobody_uses_it(
    stores: Stores, pauses: Pauses
) -> None:
    pause = await pauses.pause(HOST, reason="수리 중")
    await pauses.pause(WHOLE_QUEUE)
    assert await stores.limits.held_back() == {HOST}
    (registry,) = await stores.limits.look_at([HOST])
    assert (registry.pause, registry.paused_until) == (pause, None)


async def test_a_drained_worker_takes_no_job_and_others_do(stores: Stores) -> None:
    roster = WorkerRoster(stores.database)
    await roster.report(a_worker("one"), 15)
    await create(stores, "a")
    await roster.drain("one")
    with pytest.raises(DrainedError):
        await stores.queue.take(1, LEASE, "one")
    assert len(await stores.queue.take(1, LEASE, "other")) == 1


async def test_it_is_drained_though_it_hangs_for_a_while(stores: Stores, clock: RedisClock) -> None:
    roster = WorkerRoster(stores.database)
    await roster.report(a_worker("one"), 15)
    await roster.drain("one")
    clock.advance(3600)
    assert await roster.alive() == []
    with pytest.raises(DrainedError):
        await stores.queue.take(1, LEASE, "one")


async def test_a_worker_that_has_ended_is_forgotten(stores: Stores, redis: Redis) -> None:
    roster = WorkerRoster(stores.database)
    await roster.report(a_worker("one"), 15)
    await roster.drain("one")
    assert await stores.limits.held_back() == set()
    await roster.remove("one")
    assert await redis.dbsize() == 0


async def test_the_roster_says_what_workers_do(stores: Stores, pauses: Pauses) -> None:
    roster = WorkerRoster(stores.database)
    for worker in (a_worker("new"), a_worker("drained"), a_worker("old", heeds=False)):
        await roster.report(worker, 15)

    async def states() -> dict[str, WorkerState]:
        return {worker.id: worker.state for worker in await roster.alive()}

    await roster.drain("drained")
    working, draining = WorkerState.WORKING, WorkerState.DRAINING
    assert await states() == {"new": working, "drained": draining, "old": working}
    await pauses.pause(WHOLE_QUEUE)
    assert await states() == {"new": WorkerState.PAUSED, "drained": draining, "old": working}
