"""Jobs in Redis. The integration tests run this file against a real Valkey as well."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from push_queue.errors import UnknownJobError
from push_queue.jobs.codec import timestamp
from push_queue.models.assignments import Assignment, Signal, Wait
from push_queue.models.job import PushJob, make_job
from push_queue.models.job_status import BlobStatus, JobState, JobStatus, Outcome, TargetResult
from push_queue.redis.keys import Keys
from push_queue.redis.retries import Patience
from tests.support.assignments import succeed, write_tags
from tests.support.redis_client import Redis
from tests.support.redis_clock import redis_now
from tests.support.stores import Stores

TARGET = "localhost:15000/team/app:1"
DIGEST = "sha256:" + "d" * 64
KEEP_SECONDS = 3600
NO_LEASE = 0
"""A worker may be lost however short a time Redis has been up."""


@pytest.fixture
def stores(redis: Redis, keys: Keys) -> Stores:
    return Stores(redis, keys, KEEP_SECONDS, lease_seconds=NO_LEASE)


def a_job(job_id: str = "job-1", **fields: object) -> PushJob:
    return make_job(**{"id": job_id, "source": "/images/app.tar", "targets": [TARGET], **fields})


async def started(stores: Stores, job_id: str = "job-1", **fields: object) -> Assignment:
    await stores.jobs.create(a_job(job_id, **fields))
    return await restarted(stores, job_id)


async def restarted(stores: Stores, job_id: str = "job-1", generation: int = 0) -> Assignment:
    assignment = await stores.attempts.start(job_id, generation, "worker-1")
    assert isinstance(assignment, Assignment)
    return assignment


async def succeeded(stores: Stores, job_id: str = "job-1") -> JobStatus:
    assert await succeed(stores, await started(stores, job_id), DIGEST) is JobState.SUCCEEDED
    return await stores.jobs.status(job_id)


async def outcomes(stores: Stores, job_id: str = "job-1") -> list[tuple[int, Outcome]]:
    return [(item.number, item.outcome) for item in await stores.jobs.attempts(job_id)]


# Enqueueing


async def test_a_new_job_is_queued_with_all_it_was_given(stores: Stores, redis: Redis) -> None:
    job = a_job(image="app:1", compression="keep", max_attempts=3, labels={"branch": "größe"})
    before = await redis_now(redis)
    status, created = await stores.jobs.create(job)
    assert created
    assert status.job == job
    assert (status.state, status.attempt) == (JobState.QUEUED, 0)
    assert before <= status.enqueued_at <= await redis_now(redis)
    assert status.next_attempt_at is None
    assert await stores.jobs.status(job.id) == status


@pytest.mark.parametrize("delay", [timedelta(minutes=10), timedelta(milliseconds=1500)])
async def test_a_job_can_be_put_off_for_a_time(stores: Stores, delay: timedelta) -> None:
    status, _ = await stores.jobs.create(a_job(), not_before=delay)
    assert status.next_attempt_at == status.enqueued_at + delay


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2096, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2099, 12, 31, 12, 34, 56, 7_000, tzinfo=UTC),
        datetime(2100, 3, 1, tzinfo=UTC),
        datetime(2400, 2, 29, 1, 2, 3, 1_000, tzinfo=UTC),
    ],
)
async def test_a_job_can_be_put_off_until_a_moment(stores: Stores, moment: datetime) -> None:
    status, _ = await stores.jobs.create(a_job(), not_before=moment)
    assert status.next_attempt_at == moment


async def test_a_moment_that_has_passed_puts_nothing_off(stores: Stores) -> None:
    status, _ = await stores.jobs.create(a_job(), not_before=datetime(2026, 1, 31, tzinfo=UTC))
    assert status.next_attempt_at is None


async def test_the_same_id_again_returns_the_job_that_is_there(stores: Stores) -> None:
    first, _ = await stores.jobs.create(a_job())
    second, created = await stores.jobs.create(a_job(source="/images/other.tar"))
    assert not created
    assert second == first
    assert len(await stores.jobs.statuses()) == 1


async def test_the_hash_is_plain_text(stores: Stores, redis: Redis, keys: Keys) -> None:
    await succeeded(stores)
    fields = await redis.hgetall(keys.job("job-1"))
    text = {name.decode(): value.decode() for name, value in fields.items()}
    assert text["state"] == "succeeded"
    assert text["targets"] == f'["{TARGET}"]'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text["enqueued_at"])
    assert text[f"result:{TARGET}"] == DIGEST
    assert "labels" not in text


async def test_listing_is_newest_first_and_by_page(stores: Stores) -> None:
    for number in range(5):
        await stores.jobs.create(a_job(f"job-{number}"))
    assert [job.id for job in await stores.jobs.statuses(limit=2)] == ["job-4", "job-3"]
    assert [job.id for job in await stores.jobs.statuses(limit=2, offset=4)] == ["job-0"]


async def test_listing_by_state_follows_the_job(stores: Stores) -> None:
    assignment = await started(stores)
    assert [job.id for job in await stores.jobs.statuses(JobState.RUNNING)] == ["job-1"]
    await stores.attempts.fail(assignment, "gone", "name_unknown")
    assert await stores.jobs.statuses(JobState.RUNNING) == []
    assert [job.id for job in await stores.jobs.statuses(JobState.FAILED)] == ["job-1"]
    assert (await stores.jobs.counts())[JobState.FAILED] == 1


@pytest.mark.parametrize("method", ["status", "cancel", "requeue"])
async def test_an_unknown_id_is_an_error_that_names_it(stores: Stores, method: str) -> None:
    with pytest.raises(UnknownJobError, match="'nope'"):
        await getattr(stores.jobs, method)("nope")


# Order


async def test_sequence_numbers_grow_also_within_one_microsecond(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    ahead = 2**53 - 10
    await redis.set(keys.sequence, ahead)
    jobs = [(await stores.jobs.create(a_job(f"job-{number}")))[0] for number in range(3)]
    assert [job.sequence for job in jobs] == [ahead + 1, ahead + 2, ahead + 3]
    assert [job.sequence for job in await stores.jobs.statuses()] == [
        ahead + 3,
        ahead + 2,
        ahead + 1,
    ]


async def test_sequence_numbers_do_not_go_back_when_the_last_one_is_lost(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    await succeeded(stores)
    await redis.delete(keys.sequence)
    newer = await started(stores, "job-2")
    assert await succeed(stores, newer, DIGEST) is JobState.SUCCEEDED, "the tag is its own"


# Attempts


async def test_starting_hands_out_an_attempt(stores: Stores, redis: Redis) -> None:
    await stores.jobs.create(a_job())
    before = await redis_now(redis)
    assignment = await stores.attempts.start("job-1", 0, "worker-1")
    assert assignment == Assignment(
        a_job(),
        (TARGET,),
        attempt=1,
        fence=1,
        sequence=(await stores.jobs.status("job-1")).sequence,
    )
    status = await stores.jobs.status("job-1")
    assert (status.state, status.worker) == ("running", "worker-1")
    assert status.started_at
    assert before <= status.started_at <= await redis_now(redis)


async def test_success_is_recorded(stores: Stores, redis: Redis) -> None:
    before = await redis_now(redis)
    status = await succeeded(stores)
    assert (status.state, status.digest, status.error) == (JobState.SUCCEEDED, DIGEST, None)
    assert status.results == (TargetResult(target=TARGET, outcome="pushed", digest=DIGEST),)
    assert status.finished_at
    assert before <= status.finished_at <= await redis_now(redis)
    assert await outcomes(stores) == [(1, Outcome.SUCCEEDED)]


async def test_failure_is_recorded_on_one_line(stores: Stores) -> None:
    assignment = await started(stores)
    assert await stores.attempts.fail(assignment, "no such\n repository", "name_unknown")
    status = await stores.jobs.status("job-1")
    assert (status.state, status.error_kind) == (JobState.FAILED, "name_unknown")
    assert status.error == "no such repository"
    (attempt,) = await stores.jobs.attempts("job-1")
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "no such repository")


async def test_a_retry_waits_and_counts(stores: Stores, redis: Redis) -> None:
    assignment = await started(stores)
    delay = timedelta(seconds=2.5)
    before = await redis_now(redis)
    assert await stores.attempts.retry(
        assignment, "refused", "registry_unavailable", delay.total_seconds()
    )
    after = await redis_now(redis)
    status = await stores.jobs.status("job-1")
    assert (status.state, status.attempt, status.worker) == (JobState.RETRYING, 1, None)
    assert status.next_attempt_at
    assert before + delay <= status.next_attempt_at <= after + delay
    again = await restarted(stores)
    assert (again.attempt, again.fence) == (2, 2)
    assert (await stores.jobs.status("job-1")).next_attempt_at is None


async def test_success_after_a_retry_clears_the_error(stores: Stores) -> None:
    await stores.attempts.retry(await started(stores), "refused", "registry_unavailable", 1)
    await succeed(stores, await restarted(stores), DIGEST)
    status = await stores.jobs.status("job-1")
    assert (status.error, status.error_kind) == (None, None)
    assert await outcomes(stores) == [(1, Outcome.FAILED), (2, Outcome.SUCCEEDED)]


async def test_a_released_job_keeps_its_attempt(stores: Stores) -> None:
    assert await stores.attempts.release(await started(stores))
    assert (await stores.jobs.status("job-1")).state is JobState.QUEUED
    again = await restarted(stores)
    assert (again.attempt, again.fence) == (1, 2)
    assert await outcomes(stores) == [(1, Outcome.RELEASED)]


async def test_a_lost_worker_is_replaced_and_recorded(stores: Stores) -> None:
    await started(stores)
    again = await stores.attempts.start("job-1", 0, "worker-2")
    assert isinstance(again, Assignment)
    assert again.attempt == 2
    (lost,) = await stores.jobs.attempts("job-1")
    assert (lost.outcome, lost.worker, lost.error_kind) == ("lost", "worker-1", "worker_lost")


@pytest.mark.parametrize(("steady", "seconds"), [(0.0, 1), (0.4, 0.6), (0.999, 0.001)])
async def test_a_worker_that_could_not_reach_redis_takes_no_other_for_lost_at_once(
    redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch, steady: float, seconds: float
) -> None:
    """That one may not have reached it either, to renew its lease."""
    stores = Stores(redis, keys, KEEP_SECONDS, lease_seconds=1)
    running = await started(stores, max_attempts=1)
    redis.set_retry(Patience())
    monkeypatch.setattr(Patience, "steady_seconds", steady)
    wait = await stores.attempts.start("job-1", 0, "worker-2")
    assert isinstance(wait, Wait)
    assert wait.seconds >= seconds  # or longer, if Redis has just been started
    assert await stores.attempts.heartbeat(running) is Signal.CONTINUE


async def test_a_job_that_loses_every_worker_fails(stores: Stores) -> None:
    await started(stores, max_attempts=2)
    await restarted(stores)
    assert await stores.attempts.start("job-1", 0, "worker-3") is None
    status = await stores.jobs.status("job-1")
    assert (status.state, status.error_kind) == (JobState.FAILED, "worker_lost")
    assert status.finished_at is not None
    assert await outcomes(stores) == [(1, Outcome.LOST), (2, Outcome.LOST)]


async def test_a_push_that_its_last_worker_could_not_write_down_has_succeeded(
    stores: Stores,
) -> None:
    assignment = await started(stores, max_attempts=2)
    await stores.attempts.retry(assignment, "refused", "registry_unavailable", 0)
    last = await stores.attempts.start("job-1", 0, "worker-1")
    assert isinstance(last, Assignment)
    await write_tags(stores, last, DIGEST)
    await stores.jobs.cancel("job-1")
    assert await stores.attempts.start("job-1", 0, "worker-2") is None
    status = await stores.jobs.status("job-1")
    assert (status.state, status.digest, status.error) == (JobState.SUCCEEDED, DIGEST, None)
    assert not status.cancel_requested
    assert await outcomes(stores) == [(1, Outcome.FAILED), (2, Outcome.LOST)]


@pytest.mark.parametrize("job_id", ["job-1", "never-enqueued"])
async def test_there_is_nothing_to_start_in_final_and_unknown_jobs(
    stores: Stores, job_id: str
) -> None:
    await succeeded(stores)
    assert await stores.attempts.start(job_id, 0, "worker-1") is None


# Fencing


async def test_a_worker_that_lost_its_lease_changes_nothing(stores: Stores) -> None:
    old = await started(stores)
    new = await restarted(stores)
    before = await stores.jobs.status("job-1")
    assert await stores.attempts.heartbeat(old) is Signal.LOST
    assert await report(stores, old, 7) is Signal.LOST
    for refused in (
        stores.attempts.succeed(old, DIGEST),
        stores.attempts.fail(old, "x", "x"),
        stores.attempts.retry(old, "x", "x", 1),
        stores.attempts.release(old),
        stores.attempts.mark_cancelled(old),
    ):
        assert await refused is None
    assert await stores.jobs.status("job-1") == before
    assert await stores.attempts.heartbeat(new) is Signal.CONTINUE


async def test_a_call_sent_twice_is_done_once(stores: Stores) -> None:
    assignment = await started(stores)
    assert await stores.attempts.retry(assignment, "refused", "registry_unavailable", 1)
    assert await stores.attempts.retry(assignment, "refused", "registry_unavailable", 1)
    assert await outcomes(stores) == [(1, Outcome.FAILED)]


async def test_a_start_sent_twice_is_one_attempt(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "the-same-call")
    assert await started(stores) == await restarted(stores)
    assert await outcomes(stores) == []


# Progress


async def report(
    stores: Stores, assignment: Assignment, done: int, *blobs: BlobStatus, **figures: int
) -> Signal:
    return await stores.attempts.progress(
        assignment,
        bytes_done=done,
        bytes_total=10,
        blobs_done=0,
        blobs_total=2,
        blobs=blobs,
        **figures,
    )


async def test_progress_is_kept(stores: Stores) -> None:
    assignment = await started(stores)
    moving = BlobStatus(digest="sha256:a", size=6, done=1)
    there = BlobStatus(digest="sha256:b", size=4, done=4, how="exists")
    assert await report(stores, assignment, 5, there, moving) is Signal.CONTINUE
    status = await stores.jobs.status("job-1")
    assert (status.bytes_done, status.bytes_total, status.blobs_total) == (5, 10, 2)
    assert await stores.jobs.blobs("job-1") == (moving, there)


async def test_a_new_attempt_starts_from_nothing(stores: Stores) -> None:
    assignment = await started(stores)
    await report(stores, assignment, 5, BlobStatus(digest="sha256:a", size=6, done=1))
    await stores.attempts.retry(assignment, "refused", "registry_unavailable", 1)
    await restarted(stores)
    assert (await stores.jobs.status("job-1")).bytes_done == 0
    assert await stores.jobs.blobs("job-1") == ()


async def test_what_a_dashboard_shows_is_in_the_jobs_hash(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    assignment = await started(stores)
    figures = {"bytes_sent": 3, "bytes_saved": 4, "bytes_per_second": 2, "seconds_left": 5}
    await report(stores, assignment, 5, **figures)
    status = await stores.jobs.status("job-1")
    assert status.model_dump(include=set(figures)) == figures
    await report(stores, assignment, 5, bytes_sent=3, bytes_per_second=0)
    status = await stores.jobs.status("job-1")
    assert (status.bytes_per_second, status.seconds_left) == (0, None)
    await report(stores, assignment, 5, **figures)
    await succeed(stores, assignment, DIGEST)
    status = await stores.jobs.status("job-1")
    assert (status.bytes_sent, status.bytes_saved) == (3, 4)
    assert (status.bytes_per_second, status.seconds_left) == (None, None)
    await stores.jobs.requeue("job-1")
    assert not {name.encode() for name in figures} & set(await redis.hkeys(keys.job("job-1")))


async def test_bytes_sent_are_those_of_all_attempts(stores: Stores) -> None:
    assignment = await started(stores)
    await report(stores, assignment, 5, bytes_sent=3, bytes_saved=1)
    await stores.attempts.retry(assignment, "refused", "registry_unavailable", 0)
    again = await restarted(stores)
    status = await stores.jobs.status("job-1")
    assert (status.bytes_sent, status.bytes_saved) == (3, 0)
    await report(stores, again, 5, bytes_sent=4)
    assert (await stores.jobs.status("job-1")).bytes_sent == 7


async def test_the_time_of_all_attempts_is_added_up(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    def set_back(milliseconds: int) -> str:
        return timestamp(datetime.now(UTC) - timedelta(milliseconds=milliseconds))

    first = await started(stores)
    await redis.hset(keys.job("job-1"), "started_at", set_back(2_000_000))
    await stores.attempts.retry(first, "refused", "registry_unavailable", 0)
    once = (await stores.jobs.status("job-1")).seconds_run
    assert 2000 <= once < 3000
    await restarted(stores)  # It is lost, and started again.
    await redis.hset(keys.job("job-1"), "started_at", set_back(4_000_000))
    third = await restarted(stores)
    await succeed(stores, third, DIGEST)
    assert once + 3999 < (await stores.jobs.status("job-1")).seconds_run < once + 5000


async def test_a_start_that_cannot_be_read_holds_up_no_end(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    assignment = await started(stores)
    await redis.hset(keys.job("job-1"), "started_at", "x")
    assert await stores.attempts.fail(assignment, "refused", "denied") is JobState.FAILED


async def test_progress_of_the_running_jobs(stores: Stores, redis: Redis, keys: Keys) -> None:
    for job_id in ("job-1", "job-2", "job-3"):
        await report(stores, await started(stores, job_id), 5, bytes_sent=3)
    await stores.jobs.create(a_job("waits"))
    await redis.hset(keys.job("job-2"), "bytes_done", "x")
    first, last = await stores.jobs.running(10)
    assert (first.id, last.id) == ("job-3", "job-1")
    assert (first.attempt, first.bytes_done, first.bytes_total, first.bytes_sent) == (1, 5, 10, 3)
    assert [progress.id for progress in await stores.jobs.running(1)] == ["job-3"]


async def test_subscribers_hear_of_every_change(stores: Stores) -> None:
    async with stores.jobs.changes("job-1") as one, stores.jobs.changes() as every:
        assignment = await started(stores)
        await report(stores, assignment, 5)
        await stores.jobs.create(a_job("job-2"))
        assert [await one.next(1) for _ in range(3)] == ["job-1"] * 3
        assert [await every.next(1) for _ in range(4)] == ["job-1"] * 3 + ["job-2"]
        assert await one.next(0.01) is None


async def test_events_tell_the_whole_story(stores: Stores, redis: Redis, keys: Keys) -> None:
    await stores.attempts.retry(await started(stores), "refused", "registry_unavailable", 1)
    await succeed(stores, await restarted(stores), DIGEST)
    entries = [fields for _, fields in await redis.xrange(keys.events)]
    states = [entry[b"state"].decode() for entry in entries]
    assert states == ["queued", "running", "retrying", "running", "succeeded"]
    assert entries[-1][b"id"] == b"job-1"
    assert entries[-1][b"attempt"] == b"2"
    finished_at = (await stores.jobs.status("job-1")).finished_at
    assert finished_at
    assert entries[-1][b"at"].decode() == timestamp(finished_at)


# Cancelling and enqueueing again


async def test_a_waiting_job_is_cancelled_at_once(stores: Stores, redis: Redis) -> None:
    await stores.jobs.create(a_job())
    before = await redis_now(redis)
    assert await stores.jobs.cancel("job-1") is JobState.CANCELLED
    finished_at = (await stores.jobs.status("job-1")).finished_at
    assert finished_at
    assert before <= finished_at <= await redis_now(redis)
    assert await stores.attempts.start("job-1", 0, "worker-1") is None


async def test_a_running_job_is_cancelled_by_its_worker(stores: Stores) -> None:
    assignment = await started(stores)
    assert await stores.jobs.cancel("job-1") is JobState.RUNNING
    assert (await stores.jobs.status("job-1")).cancel_requested
    assert await stores.attempts.heartbeat(assignment) is Signal.CANCEL
    assert await report(stores, assignment, 1) is Signal.CANCEL
    assert await stores.attempts.mark_cancelled(assignment)
    status = await stores.jobs.status("job-1")
    assert (status.state, status.cancel_requested) == (JobState.CANCELLED, False)


async def test_a_job_to_be_cancelled_does_not_run_again(stores: Stores) -> None:
    assignment = await started(stores)
    await stores.jobs.cancel("job-1")
    assert await stores.attempts.release(assignment)
    assert (await stores.jobs.status("job-1")).state is JobState.CANCELLED


async def test_a_job_to_be_cancelled_whose_worker_died_is_cancelled(stores: Stores) -> None:
    await started(stores)
    await stores.jobs.cancel("job-1")
    assert await stores.attempts.start("job-1", 0, "worker-2") is None
    assert (await stores.jobs.status("job-1")).state is JobState.CANCELLED


async def test_cancelling_a_final_job_changes_nothing(stores: Stores) -> None:
    before = await succeeded(stores)
    assert await stores.jobs.cancel("job-1") is JobState.SUCCEEDED
    assert await stores.jobs.status("job-1") == before


async def test_requeue_starts_afresh_and_keeps_the_attempts(stores: Stores, redis: Redis) -> None:
    sequence = (await succeeded(stores)).sequence
    before = await redis_now(redis)
    status = await stores.jobs.requeue("job-1")
    assert before <= status.enqueued_at <= await redis_now(redis)
    expected = JobStatus(
        **a_job().model_dump(), state=JobState.QUEUED, sequence=sequence, generation=1,
        enqueued_at=status.enqueued_at,
    )  # fmt: skip
    assert status == expected
    assert await outcomes(stores) == [(1, Outcome.SUCCEEDED)]
    assert await stores.attempts.start("job-1", 0, "worker-1") is None, (
        "a record of the old generation"
    )
    assignment = await restarted(stores, generation=1)
    assert (assignment.attempt, assignment.fence) == (1, 2)


async def test_notes_are_of_one_run(stores: Stores) -> None:
    assignment = await started(stores)
    await write_tags(stores, assignment, DIGEST)
    await stores.attempts.succeed(assignment, DIGEST, ["a signature was left out"])
    assert (await stores.jobs.status("job-1")).notes == ("a signature was left out",)
    assert (await stores.jobs.requeue("job-1")).notes == ()


async def test_requeue_of_an_unfinished_job_changes_nothing(stores: Stores) -> None:
    await started(stores)
    before = await stores.jobs.status("job-1")
    assert await stores.jobs.requeue("job-1") == before


# Expiry


async def test_finished_jobs_expire(stores: Stores, redis: Redis, keys: Keys) -> None:
    assignment = await started(stores)
    assert await redis.ttl(keys.job("job-1")) == -1
    await report(stores, assignment, 1, BlobStatus(digest="sha256:a", size=6, done=1))
    await succeed(stores, assignment, DIGEST)
    for key in (keys.job("job-1"), keys.blobs("job-1"), keys.attempts("job-1")):
        assert 0 < await redis.ttl(key) <= KEEP_SECONDS


async def test_a_requeued_job_does_not_expire(stores: Stores, redis: Redis, keys: Keys) -> None:
    await succeeded(stores)
    await stores.jobs.requeue("job-1")
    assert await redis.ttl(keys.job("job-1")) == -1
    assert await redis.zrange(keys.finished, 0, -1) == []


async def test_indexes_forget_expired_jobs(stores: Stores, redis: Redis, keys: Keys) -> None:
    await succeeded(stores)
    assert await stores.jobs.forget_expired() == 0
    await redis.delete(keys.job("job-1"))
    assert await stores.jobs.statuses() == [], "expired, though still in the index"
    await redis.zincrby(keys.finished, -KEEP_SECONDS - 2, "job-1")
    assert await stores.jobs.forget_expired() == 1
    assert set((await stores.jobs.counts()).values()) == {0}
    for index in (keys.jobs, keys.finished):
        assert await redis.zcard(index) == 0


async def test_the_kept_attempts_are_bounded(stores: Stores) -> None:
    await stores.jobs.create(a_job())
    for _ in range(102):
        await stores.attempts.release(await restarted(stores))
    assert len(await stores.jobs.attempts("job-1")) == 100


async def test_an_expired_id_can_be_used_again(stores: Stores, redis: Redis, keys: Keys) -> None:
    first = await succeeded(stores)
    await redis.delete(keys.job("job-1"))
    status, created = await stores.jobs.create(a_job())
    assert created
    assert status.state is JobState.QUEUED
    assert status.sequence > first.sequence
    assert await redis.zrange(keys.jobs_in("succeeded"), 0, -1) == []
    assert await redis.zrange(keys.finished, 0, -1) == []
    assert [job.sequence for job in await stores.jobs.statuses()] == [status.sequence]
