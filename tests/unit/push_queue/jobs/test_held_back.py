"""Jobs whose registries ask for a pause: they wait without an attempt, and one job probes."""

from typing import Any

import pytest

from push_queue.jobs.tag_writes import TagWrite
from push_queue.models.assignments import Assignment, Turn, Wait
from push_queue.models.job import Priority, make_job
from push_queue.models.job_status import JobState, JobStatus, Outcome, TargetResult
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from tests.support.assignments import succeed, write_tags
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

HOST, OTHER = "localhost:15000", "other:5000"
HERE, THERE = f"{HOST}/team/app:1", f"{OTHER}/app:1"
DIGEST = "sha256:" + "d" * 64
MAX_UPLOADS = 2
PROBE_SECONDS = 60
LOOK_SECONDS = 900
"""How long until a job that nobody wakes looks again."""

pytestmark = pytest.mark.usefixtures("clock")  # Time stands still unless it is told to move.


@pytest.fixture
def stores(redis: Redis) -> Stores:
    return Stores(redis, Keys(), registry_max_uploads=MAX_UPLOADS)


@pytest.fixture
def registries(redis: Redis) -> RegistryLimits:
    return RegistryLimits(Database(redis, Keys()), MAX_UPLOADS)


async def enqueue(stores: Stores, *job_ids: str, targets: tuple[str, ...] = (HERE,)) -> None:
    for job_id in job_ids:
        await stores.jobs.create(make_job(id=job_id, source="/a", targets=targets, ordered=False))


async def start(stores: Stores, job_id: str = "job-1") -> Assignment:
    assignment = await stores.attempts.start(job_id, 0, "worker-1")
    assert isinstance(assignment, Assignment)
    return assignment


async def wait(stores: Stores, job_id: str = "job-1") -> float:
    answer = await stores.attempts.start(job_id, 0, "worker-1")
    assert isinstance(answer, Wait)
    return answer.seconds


async def move(stores: Stores, assignment: Assignment) -> None:
    await stores.attempts.progress(
        assignment, bytes_done=1, bytes_total=10, blobs_done=0, blobs_total=2
    )


async def write_tag(stores: Stores, assignment: Assignment, target: str) -> None:
    write = TagWrite(target, DIGEST, assignment.sequence)
    assert await stores.turns.take(assignment, write, 15) is Turn.WRITE
    assert await stores.turns.end(assignment, write, written=True)


async def probe(stores: Stores, registries: RegistryLimits, clock: RedisClock) -> Assignment:
    """A job that tries the registry after its pause, while another waits."""
    await enqueue(stores, "job-1", "job-2")
    clock.advance(await registries.pause(HOST, "no answer"))
    assignment = await start(stores)
    await wait(stores, "job-2")
    return assignment


async def waiting_at(redis: Redis, registry: str) -> list[str]:
    return [job_id.decode() for job_id in await redis.zrange(Keys().waiting(registry), 0, -1)]


def waiting(status: JobStatus) -> tuple[JobState, int, str | None]:
    return status.state, status.attempt, status.waiting_for


# Pauses


async def test_a_job_waits_for_its_registry_without_an_attempt(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1")
    await registries.pause(HOST, "too many requests", 20)
    assert LOOK_SECONDS <= await wait(stores) < 2 * LOOK_SECONDS
    reason = f"{HOST} asks for a pause: too many requests"
    assert waiting(await stores.jobs.status("job-1")) == (JobState.QUEUED, 0, reason)
    clock.advance(19.9)
    await wait(stores)
    assert await stores.jobs.attempts("job-1") == []
    clock.advance(0.1)
    assert (await start(stores)).attempt == 1
    assert waiting(await stores.jobs.status("job-1")) == (JobState.RUNNING, 1, None)


async def test_why_a_job_waits_tells_a_registry_that_is_away_from_one_that_asked(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1")
    await registries.pause(HOST, "too many requests", 20)
    clock.advance(20)
    await registries.pause(HOST, "no answer")
    await wait(stores)
    assert (await stores.jobs.status("job-1")).waiting_for == f"{HOST} is down: no answer"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (f"https://{HOST} cannot be reached: no route", "cannot be reached: no route"),
        (f"http://{HOST} did not answer in time", "did not answer in time"),
        (f"{HOST}: upload to app: 503", "upload to app: 503"),
        (f"{HOST}0: upload to app: 503", f"{HOST}0: upload to app: 503"),
        (f"https://cdn.example.com, not {HOST}", f"https://cdn.example.com, not {HOST}"),
        (HOST, HOST),
    ],
)
async def test_why_a_job_waits_names_its_registry_once(
    stores: Stores, registries: RegistryLimits, error: str, told: str
) -> None:
    await enqueue(stores, "job-1")
    await registries.pause(HOST, error)
    await wait(stores)
    assert (await stores.jobs.status("job-1")).waiting_for == f"{HOST} is down: {told}"


async def test_with_all_registries_away_it_waits_for_whichever_comes_back(
    stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    await registries.pause(HOST, "too many requests", 20)
    await registries.pause(OTHER, "too many requests", 7)
    await wait(stores)
    reason = f"{OTHER} asks for a pause: too many requests"
    assert (await stores.jobs.status("job-1")).waiting_for == reason
    for registry in (HOST, OTHER):
        assert await waiting_at(redis, registry) == ["job-1"]
        assert await redis.sismember(Keys().waited_for, registry)
    await registries.pause(OTHER, "no answer", 60)
    await wait(stores)
    reason = f"{HOST} asks for a pause: too many requests"
    assert (await stores.jobs.status("job-1")).waiting_for == reason
    clock.advance(20)
    assert (await start(stores)).targets == (HERE,)
    assert (await waiting_at(redis, HOST), await waiting_at(redis, OTHER)) == ([], [])


async def test_jobs_wait_by_priority_and_then_in_order(
    stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    await registries.pause(HOST, "no answer", 30 * 24 * 3600)
    order: tuple[Priority, ...] = ("low", "normal", "high")
    for number, priority in enumerate((*order, *order)):
        job = make_job(id=f"{priority}-{number}", source="/a", targets=[HERE], priority=priority)
        await stores.jobs.create(job)
        await wait(stores, job.id)
        clock.advance(24 * 3600)
    expected = ["high-2", "high-5", "normal-1", "normal-4", "low-0", "low-3"]
    assert await waiting_at(redis, HOST) == expected


async def test_jobs_that_are_woken_have_the_lead_of_their_priority(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    async def enqueue_one(job_id: str, priority: Priority) -> None:
        job = make_job(id=job_id, source="/a", targets=[HERE], priority=priority)
        await stores.jobs.create(job)

    await registries.pause(HOST, "too many requests", 20)
    for job_id in ("low-1", "low-2"):
        await enqueue_one(job_id, "low")
        await stores.queue.hold(Keys().arq_job_id(job_id, 0), await wait(stores, job_id), 15)
    clock.advance(20)
    await Pauses(stores.database).resume(HOST)
    assert await stores.queue.release() == 2
    await stores.queue.promote()
    clock.advance(1)
    await enqueue_one("normal", "normal")
    taken = [arq_id for arq_id, _ in await stores.queue.take(3, 15)]
    assert taken == [Keys().arq_job_id(job_id, 0) for job_id in ("normal", "low-1", "low-2")]


async def test_a_job_that_is_to_be_retried_stays_so_while_it_waits(
    stores: Stores, registries: RegistryLimits
) -> None:
    await enqueue(stores, "job-1")
    await stores.attempts.retry(await start(stores), "refused", "registry_unavailable", 1)
    await registries.pause(HOST, "no answer", 5)
    await wait(stores)
    status = await stores.jobs.status("job-1")
    assert (status.state, status.attempt) == (JobState.RETRYING, 1)


async def test_a_job_whose_worker_died_waits_in_the_queue(
    stores: Stores, redis: Redis, registries: RegistryLimits
) -> None:
    await enqueue(stores, "job-1")
    await start(stores)
    await registries.pause(HOST, "no answer", 5)
    careless = Stores(redis, Keys(), lease_seconds=0)
    await wait(careless)
    status = await stores.jobs.status("job-1")
    assert (status.state, status.worker) == (JobState.QUEUED, None)
    assert [item.outcome for item in await stores.jobs.attempts("job-1")] == [Outcome.LOST]


async def test_the_targets_of_other_registries_are_pushed_meanwhile(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    await registries.pause(HOST, "too many requests", 20)
    assignment = await start(stores)
    assert assignment.targets == (THERE,)
    assert await succeed(stores, assignment, DIGEST) is JobState.QUEUED
    status = await stores.jobs.status("job-1")
    assert (status.state, status.attempt) == (JobState.QUEUED, 0)
    assert status.results == (TargetResult(target=THERE, outcome="pushed", digest=DIGEST),)
    assert await stores.jobs.attempts("job-1") == [], "it only waited"

    await wait(stores)
    clock.advance(20)
    assignment = await start(stores)
    assert (assignment.targets, assignment.attempt) == ((HERE,), 1)
    assert await succeed(stores, assignment, DIGEST) is JobState.SUCCEEDED
    status = await stores.jobs.status("job-1")
    assert status.digest == DIGEST
    assert [(result.target, result.digest) for result in status.results] == [
        (HERE, DIGEST),
        (THERE, DIGEST),
    ]


async def give_up_here(stores: Stores, registries: RegistryLimits) -> JobState | None:
    """The registry of one target refuses it for good, while that of the other is down."""
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    await registries.pause(OTHER, "no answer", 20)
    assignment = await start(stores)
    assert assignment.targets == (HERE,)
    return await stores.attempts.fail(assignment, "403 no, never", "denied", answered=HOST)


async def test_a_target_that_is_given_up_keeps_no_other_from_its_image(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    assert await give_up_here(stores, registries) is JobState.QUEUED
    status = await stores.jobs.status("job-1")
    assert (status.attempt, status.error_kind) == (0, "denied")
    assert [item.outcome for item in await stores.jobs.attempts("job-1")] == [Outcome.FAILED]
    await wait(stores)

    clock.advance(20)
    assignment = await start(stores)
    assert (assignment.targets, assignment.attempt) == ((THERE,), 1)
    assert await stores.attempts.retry(assignment, "500", "registry_unavailable", 1)
    assignment = await start(stores)
    assert await succeed(stores, assignment, DIGEST) is JobState.QUEUED
    assert await stores.attempts.start("job-1", 0, "worker-1") is None
    status = await stores.jobs.status("job-1")
    assert (status.state, status.error, status.error_kind) == (
        JobState.FAILED,
        "403 no, never",
        "denied",
    )
    assert [result.target for result in status.results] == [THERE]
    assert status.attempt == 2, "one that was refused, and one that the other answered with 500"


async def test_a_job_that_is_run_again_tries_what_was_given_up(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await give_up_here(stores, registries)
    clock.advance(20)
    assert await stores.attempts.fail(await start(stores), "403", "denied", answered=OTHER) is (
        JobState.FAILED
    )
    await stores.jobs.requeue("job-1")
    assignment = await stores.attempts.start("job-1", 1, "worker-1")
    assert isinstance(assignment, Assignment)
    assert assignment.targets == (HERE, THERE)


async def test_a_job_that_is_no_good_itself_does_not_wait_for_a_registry(
    stores: Stores, registries: RegistryLimits
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    await registries.pause(OTHER, "no answer", 20)
    state = await stores.attempts.fail(await start(stores), "no tar", "invalid_archive")
    assert state is JobState.FAILED


async def test_a_waiting_job_is_cancelled(
    stores: Stores, registries: RegistryLimits, redis: Redis
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    for registry in (HOST, OTHER):
        await registries.pause(registry, "no answer", 5)
    await wait(stores)
    assert await stores.jobs.cancel("job-1") is JobState.CANCELLED
    assert (await waiting_at(redis, HOST), await waiting_at(redis, OTHER)) == ([], [])
    assert waiting(await stores.jobs.status("job-1")) == (JobState.CANCELLED, 0, None)
    assert await stores.attempts.start("job-1", 0, "worker-1") is None


# After a pause


async def test_the_probe_alone_tries_for_a_while(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await probe(stores, registries, clock)
    clock.advance(PROBE_SECONDS - 1)
    await wait(stores, "job-2")
    clock.advance(1)
    await start(stores, "job-2")


async def test_a_probe_that_is_started_by_a_call_sent_twice_goes_on(
    stores: Stores,
    registries: RegistryLimits,
    clock: RedisClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own probe does not hold it back."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "token")
    assignment = await probe(stores, registries, clock)
    assert await start(stores) == assignment


async def test_a_probe_that_moves_ends_the_pause(
    stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    assignment = await probe(stores, registries, clock)
    numbers: dict[str, Any] = {"bytes_total": 10, "blobs_done": 0, "blobs_total": 2}
    await stores.attempts.progress(assignment, bytes_done=0, **numbers)
    await wait(stores, "job-2")  # Nothing has reached the registry.
    await stores.attempts.progress(assignment, bytes_done=1, **numbers)
    assert not await redis.exists(Keys().pause(HOST))
    await start(stores, "job-2")


async def test_a_probe_that_succeeds_ends_the_pause(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    assignment = await probe(stores, registries, clock)
    await succeed(stores, assignment, DIGEST)
    await start(stores, "job-2")
    assert await registries.pause(HOST, "no answer") == 1, "the row of failures is over"


async def test_only_its_own_answer_ends_the_pause_of_a_registry(
    stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    clock.advance(await registries.pause(HOST, "no answer"))
    assignment = await start(stores)
    assert assignment.targets == (HERE, THERE)
    await move(stores, assignment)
    await write_tag(stores, assignment, THERE)
    await move(stores, assignment)
    assert await redis.exists(Keys().pause(HOST)), "the other one answered"
    await write_tag(stores, assignment, HERE)
    assert not await redis.exists(Keys().pause(HOST))


async def test_a_target_that_is_done_ends_the_pause_of_its_registry(
    stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    clock.advance(await registries.pause(HOST, "no answer"))
    await registries.pause(OTHER, "no answer", 60)
    assignment = await start(stores)
    assert assignment.targets == (HERE,)
    await write_tag(stores, assignment, HERE)
    assert not await redis.exists(Keys().pause(HOST))
    assert await stores.attempts.succeed(assignment, DIGEST) is JobState.QUEUED
    assert await redis.exists(Keys().pause(OTHER))


async def test_a_probe_whose_worker_is_lost_holds_nothing_back(
    stores: Stores, registries: RegistryLimits, clock: RedisClock, redis: Redis
) -> None:
    lost = await probe(stores, registries, clock)
    careless = Stores(redis, Keys(), registry_max_uploads=MAX_UPLOADS, lease_seconds=0)
    assert (await start(careless)).attempt == lost.attempt + 1
    await wait(stores, "job-2")  # It is the probe again.


@pytest.mark.parametrize("end", ["fail", "retry", "release", "cancelled"])
async def test_a_probe_that_ends_without_an_answer_lets_another_try(
    end: str, stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    assignment = await probe(stores, registries, clock)
    match end:
        case "fail":
            await stores.attempts.fail(assignment, "no answer", "registry_unavailable")
        case "retry":
            await stores.attempts.retry(assignment, "no answer", "registry_unavailable", 60)
        case "release":
            await stores.attempts.release(assignment)
        case "cancelled":
            await stores.attempts.mark_cancelled(assignment)
    await enqueue(stores, "job-3")
    await start(stores, "job-2")
    await wait(stores, "job-3")  # One at a time, as before.


@pytest.mark.parametrize("end", ["fail", "retry"])
async def test_an_error_of_the_registry_s_own_ends_its_pause(
    end: str, stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    for registry in (HOST, OTHER):
        clock.advance(await registries.pause(registry, "no answer"))
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    assignment = await start(stores)
    assert assignment.targets == (HERE, THERE)
    if end == "fail":
        await stores.attempts.fail(assignment, "denied", "denied", answered=HOST)
    else:
        await stores.attempts.retry(
            assignment, "internal error", "registry_unavailable", 60, answered=HOST
        )
    assert not await redis.exists(Keys().pause(HOST))
    assert await redis.hkeys(Keys().pause(OTHER)), "nothing is known of the other"
    assert not await redis.hexists(Keys().pause(OTHER), "probe"), "another job may try it"


async def test_an_error_of_a_job_that_does_not_try_the_registry_ends_no_pause(
    stores: Stores, registries: RegistryLimits, redis: Redis
) -> None:
    await enqueue(stores, "job-1")
    assignment = await start(stores)
    await registries.pause(HOST, "no answer")
    await stores.attempts.fail(assignment, "denied", "denied", answered=HOST)
    assert await redis.exists(Keys().pause(HOST))


@pytest.mark.parametrize("damage", ['"text"', "7", "{}", "[[1]]", "null", "["])
async def test_a_note_of_the_probe_that_cannot_be_read_is_dropped(
    damage: str, stores: Stores, registries: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    assignment = await probe(stores, registries, clock)
    await redis.hset(Keys().job("job-1"), "probing", damage)
    assert await succeed(stores, assignment, DIGEST) is JobState.SUCCEEDED
    assert not await redis.hexists(Keys().job("job-1"), "probing")


async def test_a_probe_that_was_overtaken_ends_no_pause(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    assignment = await probe(stores, registries, clock)
    await registries.pause(HOST, "too many requests", 30)
    await succeed(stores, assignment, DIGEST)
    await wait(stores, "job-2")


async def test_a_probe_tries_only_what_was_paused(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    """It does not know of the other registry's pause, which began later."""
    assignment = await probe(stores, registries, clock)
    await registries.pause(OTHER, "no answer", 30)
    await succeed(stores, assignment, DIGEST)
    await enqueue(stores, "job-3", targets=(THERE,))
    await wait(stores, "job-3")


# Slots


async def test_a_job_waits_while_its_registry_has_no_slot_left(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1")
    for token in "ab":
        await registries.take_slot(HOST, token, 15)
    await wait(stores)
    reason = f"{HOST} takes {MAX_UPLOADS} uploads at once"
    assert waiting(await stores.jobs.status("job-1")) == (JobState.QUEUED, 0, reason)
    await registries.give_slot_back(HOST, "a")
    await start(stores)


async def test_slots_of_dead_workers_hold_nobody_back(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1")
    for token in "ab":
        await registries.take_slot(HOST, token, 15)
    clock.advance(15.1)
    await start(stores)


async def test_a_job_without_a_slot_is_no_probe(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1", "job-2")
    for token in "ab":
        await registries.take_slot(HOST, token, 60)
    clock.advance(await registries.pause(HOST, "no answer"))
    await wait(stores)
    await registries.give_slot_back(HOST, "a")
    await start(stores, "job-2")


# Putting off


async def test_what_is_put_off_for_want_of_room_leaves_no_trace(stores: Stores) -> None:
    await enqueue(stores, "job-1")
    assert (
        await stores.attempts.defer(await start(stores), "all\nslots taken", 2) is JobState.QUEUED
    )
    status = await stores.jobs.status("job-1")
    assert waiting(status) == (JobState.QUEUED, 0, "all slots taken")
    assert (status.give_up_at, status.error, status.worker) == (None, None, None)
    assert status.next_attempt_at is not None
    assert await stores.jobs.attempts("job-1") == []
    assert (await start(stores)).attempt == 1


async def test_what_a_registry_put_off_is_listed(stores: Stores) -> None:
    await enqueue(stores, "job-1")
    for _ in range(2):
        assignment = await start(stores)
        assert assignment.attempt == 1
        await stores.attempts.defer(assignment, "too many requests", 2, error_kind="rate_limited")
    assert [
        (item.outcome, item.error_kind, item.error) for item in await stores.jobs.attempts("job-1")
    ] == [(Outcome.DEFERRED, "rate_limited", "too many requests")] * 2


# Giving up


PATIENCE = 600
AWAY = {"error_kind": "registry_unavailable"}


async def enqueue_patient(stores: Stores, job_id: str = "job-1") -> None:
    await stores.jobs.create(
        make_job(id=job_id, source="/a", targets=(HERE,), max_attempts=1, give_up_after=PATIENCE)
    )


async def test_time_that_its_registry_is_away_is_used_up_not_attempts(
    stores: Stores, clock: RedisClock
) -> None:
    await enqueue_patient(stores)
    clock.advance(10 * PATIENCE)  # Whoever has not met the registry waits for nothing.
    for _ in range(6):
        assert (
            await stores.attempts.defer(await start(stores), "no answer", 0, **AWAY)
            is JobState.QUEUED
        )
        clock.advance(PATIENCE / 6)
    assert (await stores.jobs.status("job-1")).attempt == 0
    assert await stores.attempts.defer(await start(stores), "refused", 0, **AWAY) is JobState.FAILED
    status = await stores.jobs.status("job-1")
    assert (status.attempt, status.error, status.error_kind) == (1, "refused", AWAY["error_kind"])
    assert waiting(status) == (JobState.FAILED, 1, None)
    assert status.next_attempt_at is None
    *_, last = await stores.jobs.attempts("job-1")
    assert (last.outcome, last.error) == (Outcome.FAILED, "refused")


async def give_up_in(stores: Stores, clock: RedisClock) -> float | None:
    moment = (await stores.jobs.status("job-1")).give_up_at
    return moment.timestamp() - clock.now if moment else None


async def test_the_time_of_the_attempt_that_failed_is_used_up_too(
    stores: Stores, clock: RedisClock
) -> None:
    await enqueue_patient(stores)
    assignment = await start(stores)
    clock.advance(60)
    await stores.attempts.defer(assignment, "did not answer in time", 0, **AWAY)
    assert await give_up_in(stores, clock) == PATIENCE - 60
    assignment = await start(stores)
    clock.advance(60)
    await stores.attempts.defer(assignment, "did not answer in time", 0, **AWAY)
    assert await give_up_in(stores, clock) == PATIENCE - 120


async def test_one_attempt_can_be_all_its_time(stores: Stores, clock: RedisClock) -> None:
    await enqueue_patient(stores)
    assignment = await start(stores)
    clock.advance(PATIENCE)
    assert (
        await stores.attempts.defer(assignment, "did not answer in time", 0, **AWAY)
        is JobState.FAILED
    )


@pytest.mark.parametrize("further", ["bytes_done", "blobs_done"])
async def test_a_job_that_gets_further_has_all_its_time_from_then_on(
    further: str, stores: Stores, clock: RedisClock
) -> None:
    await enqueue_patient(stores)
    for done in range(1, 4):
        assignment = await start(stores)
        clock.advance(PATIENCE - 60)
        numbers: dict[str, Any] = {
            "bytes_done": 0,
            "bytes_total": 10,
            "blobs_done": 0,
            "blobs_total": 5,
        }
        await stores.attempts.progress(assignment, **numbers)
        await stores.attempts.progress(assignment, **{**numbers, further: done})
        assert await give_up_in(stores, clock) is None
        clock.advance(60)
        assert await stores.attempts.defer(assignment, "no answer", 0, **AWAY) is JobState.QUEUED
        assert await give_up_in(stores, clock) == PATIENCE - 60


async def test_what_is_sent_again_and_again_gets_a_job_no_further(
    stores: Stores, clock: RedisClock
) -> None:
    """A gateway takes part of each upload and then answers 504, or the registry forgets it."""
    await enqueue_patient(stores)
    numbers: dict[str, Any] = {"bytes_total": 10, "blobs_done": 1, "blobs_total": 2}
    for taken in (5, 3, 5, 4, 5):
        assignment = await start(stores)
        await stores.attempts.progress(assignment, bytes_done=taken, **numbers)
        assert (
            await stores.attempts.defer(assignment, "gateway time-out", 0, **AWAY)
            is JobState.QUEUED
        )
        clock.advance(PATIENCE / 5)
    assignment = await start(stores)
    await stores.attempts.progress(assignment, bytes_done=5, **numbers)
    assert await stores.attempts.defer(assignment, "gateway time-out", 0, **AWAY) is JobState.FAILED


async def test_what_a_final_job_leaves_is_no_measure_of_its_progress(
    stores: Stores, redis: Redis
) -> None:
    await enqueue_patient(stores)
    assignment = await start(stores)
    await move(stores, assignment)
    await stores.attempts.fail(assignment, "denied", "denied")
    left = {name.decode() for name in await redis.hkeys(Keys().job("job-1"))}
    assert not left & {"progressed_at", "most_bytes", "most_blobs"}


async def test_a_target_that_is_done_restores_patience_for_the_others(
    stores: Stores, clock: RedisClock
) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    await stores.attempts.defer(await start(stores), "no answer", 0, **AWAY)
    assignment = await start(stores)
    await write_tag(stores, assignment, HERE)
    assert (await stores.jobs.status("job-1")).give_up_at is None


async def test_a_job_that_only_waited_gives_up_with_the_error_of_the_registry(
    stores: Stores, registries: RegistryLimits, clock: RedisClock, redis: Redis
) -> None:
    await enqueue_patient(stores)
    await registries.pause(HOST, "too many requests", 2 * PATIENCE, kind="rate_limited")
    assert await wait(stores) == PATIENCE
    given_up_at = (await stores.jobs.status("job-1")).give_up_at
    assert given_up_at is not None
    assert given_up_at.timestamp() == clock.now + PATIENCE
    clock.advance(PATIENCE - 1)
    assert await wait(stores) == 1
    clock.advance(1)
    assert await stores.attempts.start("job-1", 0, "worker-1") is None
    status = await stores.jobs.status("job-1")
    assert waiting(status) == (JobState.FAILED, 0, None)
    assert (status.error, status.error_kind) == ("too many requests", "rate_limited")
    assert await waiting_at(redis, HOST) == []


async def test_a_registry_that_is_back_is_tried_however_late(
    stores: Stores, registries: RegistryLimits, clock: RedisClock
) -> None:
    await enqueue_patient(stores)
    await registries.pause(HOST, "no answer", 5)
    await wait(stores)
    clock.advance(2 * PATIENCE)
    assert await succeed(stores, await start(stores), DIGEST) is JobState.SUCCEEDED


async def test_a_job_that_says_nothing_gives_up_when_the_settings_say_so(
    redis: Redis, clock: RedisClock
) -> None:
    stores = Stores(redis, Keys(), give_up_after=30)
    await enqueue(stores, "job-1")
    await stores.attempts.defer(await start(stores), "no answer", 0, **AWAY)
    clock.advance(30)
    assert (
        await stores.attempts.defer(await start(stores), "no answer", 0, **AWAY) is JobState.FAILED
    )


async def test_a_new_generation_has_all_its_time_before_it(
    stores: Stores, clock: RedisClock
) -> None:
    await enqueue_patient(stores)
    await stores.attempts.defer(await start(stores), "no answer", 0, **AWAY)
    await stores.jobs.cancel("job-1")
    clock.advance(PATIENCE)
    assert (await stores.jobs.requeue("job-1")).give_up_at is None
    assignment = await stores.attempts.start("job-1", 1, "worker-1")
    assert isinstance(assignment, Assignment)
    assert await stores.attempts.defer(assignment, "no answer", 0, **AWAY) is JobState.QUEUED


async def test_a_job_to_be_cancelled_does_not_fail_for_want_of_patience(
    stores: Stores, clock: RedisClock
) -> None:
    await enqueue_patient(stores)
    await stores.attempts.defer(await start(stores), "no answer", 0, **AWAY)
    clock.advance(PATIENCE)
    assignment = await start(stores)
    await stores.jobs.cancel("job-1")
    assert await stores.attempts.defer(assignment, "no answer", 0, **AWAY) is JobState.CANCELLED


# Ends that came first


async def test_a_job_to_be_cancelled_is_not_put_off(stores: Stores) -> None:
    await enqueue(stores, "job-1")
    assignment = await start(stores)
    await stores.jobs.cancel("job-1")
    assert await stores.attempts.defer(assignment, "too many requests", 2) is JobState.CANCELLED
    assert waiting(await stores.jobs.status("job-1")) == (JobState.CANCELLED, 0, None)


async def test_a_lost_job_is_not_put_off(stores: Stores, redis: Redis) -> None:
    await enqueue(stores, "job-1")
    lost = await start(stores)
    await start(Stores(redis, Keys(), lease_seconds=0))
    assert (
        await stores.attempts.defer(lost, "too many requests", 2, error_kind="rate_limited") is None
    )
    assert (await stores.jobs.status("job-1")).state is JobState.RUNNING


async def test_notes_of_the_tags_written_survive_what_is_put_off(stores: Stores) -> None:
    await enqueue(stores, "job-1", targets=(HERE, THERE))
    assignment = await start(stores)
    await write_tag(stores, assignment, HERE)
    await stores.attempts.defer(assignment, "too many requests", 2, error_kind="rate_limited")
    assignment = await start(stores)
    assert assignment.targets == (THERE,)
    await write_tags(stores, assignment, DIGEST)
    assert await stores.attempts.succeed(assignment, DIGEST) is JobState.SUCCEEDED
