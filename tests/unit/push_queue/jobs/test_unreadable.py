"""Unreadable records affect no other job. The integration tests run this file against a real Valkey
as well."""

import pytest

from push_queue.errors import JobConflictError, UnknownJobError, UnreadableJobError
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.models import formats
from push_queue.models.assignments import Assignment, Signal, Wait
from push_queue.models.formats import FORMAT, format_of
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState, Outcome
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from tests.support.assignments import lose_in_arq, write_tags
from tests.support.redis_client import Redis
from tests.support.stores import Stores

KEYS = Keys("unreadable")
DIGEST = "sha256:" + "d" * 64
GOOD, BAD = "good", "bad"
DAMAGE = {
    "targets that are no JSON": {"targets": "localhost:15000/app:1"},
    "targets that are no list": {"targets": "1"},
    "no targets": {"targets": "[]"},
    "an unknown compression": {"compression": "lz4"},
    "labels that are no JSON": {"labels": "{"},
    "an attempt that is no number": {"attempt": "one"},
    "an unknown state": {"state": "asleep"},
    "bytes that are no text": {"priority": b"\xff\xfe"},
    "a date that is none": {"enqueued_at": "yesterday"},
    "a sequence that no index takes": {"sequence": "nan"},
    "a fence that is no number": {"fence": "abc"},
    "a cleanup of what is at a URL": {"cleanup": "true", "source": "https://example.com/a.tar"},
}


@pytest.fixture
def keys() -> Keys:
    return KEYS


@pytest.fixture
async def jobs(stores: Stores) -> None:
    for job_id in (GOOD, BAD):
        await stores.jobs.create(
            make_job(id=job_id, source="/a.tar", targets=["localhost:15000/app:1"])
        )


async def states(redis: Redis, job_id: str) -> set[JobState]:
    return {s for s in JobState if await redis.zscore(KEYS.jobs_in(s), job_id) is not None}


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_worker_that_meets_one_ends_it(
    damage: dict[str, str], stores: Stores, redis: Redis
) -> None:
    await redis.hset(KEYS.job(BAD), mapping=damage)
    assert await stores.attempts.start(BAD, 0, "worker-1") is None
    job = await stores.jobs.status(BAD)
    assert (job.state, job.error_kind) == (JobState.FAILED, "invalid_job")
    assert next(iter(damage)) in (job.error or "")
    assert await states(redis, BAD) == {JobState.FAILED}
    assert await redis.zscore(KEYS.queue, KEYS.arq_job_id(BAD, 0)) is None
    assert await redis.ttl(KEYS.job(BAD)) > 0
    assert isinstance(await stores.attempts.start(GOOD, 0, "worker-1"), Assignment)


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("damage", [{"targets": "["}, {"sequence": "nan"}, {"attempt": "x"}])
async def test_one_that_is_damaged_while_it_runs_ends(
    damage: dict[str, str], stores: Stores, redis: Redis
) -> None:
    assignment = await stores.attempts.start(BAD, 0, "worker-1")
    assert isinstance(assignment, Assignment)
    await write_tags(stores, assignment, DIGEST)
    await redis.hset(KEYS.job(BAD), mapping=damage)
    assert await stores.attempts.succeed(assignment, DIGEST) is JobState.FAILED
    assert (await stores.jobs.status(BAD)).error_kind == "invalid_job"
    assert await states(redis, BAD) == {JobState.FAILED}


@pytest.mark.usefixtures("jobs")
async def test_one_that_is_no_hash_any_more_ends(stores: Stores, redis: Redis) -> None:
    assignment = await stores.attempts.start(BAD, 0, "worker-1")
    assert isinstance(assignment, Assignment)
    await redis.delete(KEYS.job(BAD))
    await redis.set(KEYS.job(BAD), "somebody's own")
    assert await stores.attempts.succeed(assignment, DIGEST) is JobState.FAILED
    assert await states(redis, BAD) == {JobState.FAILED}


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_it_is_listed_among_the_others(
    damage: dict[str, str], stores: Stores, redis: Redis
) -> None:
    await redis.hset(KEYS.job(BAD), mapping=damage)
    listed = {job.id: job.state for job in await stores.jobs.statuses()}
    assert listed == {GOOD: JobState.QUEUED, BAD: JobState.FAILED}


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("meets_it", ["housekeeper", "worker", "cancel", "retry"])
async def test_what_is_no_hash_has_failed_and_is_left_as_it_is(
    meets_it: str, stores: Stores, redis: Redis
) -> None:
    await redis.set(KEYS.job(BAD), "somebody's own")
    match meets_it:
        case "housekeeper":
            assert await stores.records.end_if_unreadable(BAD)
        case "worker":
            assert await stores.attempts.start(BAD, 0, "worker-1") is None
        case "cancel":
            assert await stores.jobs.cancel(BAD) is JobState.FAILED
        case "retry":
            with pytest.raises(UnreadableJobError, match=f"{BAD}.*enqueue it again"):
                await stores.jobs.requeue(BAD)
    assert await states(redis, BAD) == {JobState.FAILED}
    for job in (await stores.jobs.status(BAD), *await stores.jobs.statuses(JobState.FAILED)):
        assert (job.id, job.state, job.error_kind) == (BAD, JobState.FAILED, "invalid_job")
        assert "not a hash" in (job.error or "")
    assert len(await stores.jobs.statuses()) == 2
    assert await redis.get(KEYS.job(BAD)) == b"somebody's own"


@pytest.mark.usefixtures("jobs")
async def test_what_is_no_hash_leaves_the_indexes_as_finished_jobs_do(
    stores: Stores, redis: Redis
) -> None:
    await redis.set(KEYS.job(BAD), "somebody's own")
    await stores.records.end_if_unreadable(BAD)
    expires = await redis.zscore(KEYS.finished, BAD)
    await stores.records.end_if_unreadable(BAD)
    assert await redis.zscore(KEYS.finished, BAD) == expires, "it does not stay for ever"
    await redis.zadd(KEYS.finished, {BAD: 1})
    await stores.jobs.forget_expired()
    assert await redis.zscore(KEYS.jobs, BAD) is None
    assert await states(redis, BAD) == set()


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("damage", ["hash", "string"])
async def test_its_id_is_refused_for_another_job(damage: str, stores: Stores, redis: Redis) -> None:
    if damage == "hash":
        await redis.hset(KEYS.job(BAD), "targets", "[")
    else:
        await redis.set(KEYS.job(BAD), "somebody's own")
    job = make_job(id=BAD, source="/a.tar", targets=["localhost:15000/app:1"])
    with pytest.raises(JobConflictError, match=f"job {BAD} exists.*use another id") as caught:
        await stores.jobs.create(job)
    assert ("targets" if damage == "hash" else "not a hash") in str(caught.value)


@pytest.mark.usefixtures("jobs")
async def test_the_scripts_of_the_whole_queue_pass_over_it(stores: Stores, redis: Redis) -> None:
    dispatch = ArqQueue(Database(redis, KEYS))
    await redis.set(KEYS.job(BAD), "somebody's own")
    await redis.sadd(KEYS.waited_for, "localhost:15000")
    await redis.zadd(KEYS.waiting("localhost:15000"), {BAD: 1})
    await redis.zadd(KEYS.queue, {KEYS.arq_job_id(BAD, 0): 1}, xx=True)
    await dispatch.promote()
    assert await dispatch.release() == 0
    await lose_in_arq(redis, KEYS, BAD)
    assert await dispatch.orphans(JobState.QUEUED, 0, 10) == (2, [BAD])


@pytest.mark.usefixtures("jobs")
async def test_attempts_and_blobs_that_make_no_sense_are_left_out(
    stores: Stores, redis: Redis
) -> None:
    await redis.rpush(KEYS.attempts(BAD), "not JSON")
    await redis.hset(KEYS.blobs(BAD), mapping={"sha256:a": "much", "sha256:b": "1/2"})
    assert await stores.jobs.attempts(BAD) == []
    assert [blob.digest for blob in await stores.jobs.blobs(BAD)] == ["sha256:b"]


@pytest.mark.usefixtures("jobs")
async def test_a_job_whose_record_is_gone_leaves_the_indexes(stores: Stores, redis: Redis) -> None:
    await redis.delete(KEYS.job(BAD))
    assert not await stores.records.end_if_unreadable(BAD)
    assert await states(redis, BAD) == set()
    assert await redis.zscore(KEYS.jobs, BAD) is None


@pytest.mark.usefixtures("jobs")
async def test_a_good_record_is_not_ended(stores: Stores) -> None:
    assert not await stores.records.end_if_unreadable(GOOD)
    assert not await stores.records.end_if_unreadable("nobody")
    assert (await stores.jobs.status(GOOD)).state is JobState.QUEUED
    with pytest.raises(UnknownJobError):
        await stores.jobs.status("nobody")


# Formats


@pytest.mark.usefixtures("jobs")
async def test_an_unknown_option_of_a_known_format_is_refused(stores: Stores, redis: Redis) -> None:
    await redis.hset(KEYS.job(BAD), "mirror", "elsewhere.example.com")
    assert await stores.attempts.start(BAD, 0, "worker-1") is None
    job = await stores.jobs.status(BAD)
    assert (job.state, job.error_kind) == (JobState.FAILED, "invalid_job")
    assert "mirror" in (job.error or "")


@pytest.mark.usefixtures("jobs")
async def test_what_a_newer_worker_added_to_a_status_is_ignored(
    stores: Stores, redis: Redis
) -> None:
    assignment = await stores.attempts.start(GOOD, 0, "newer")
    assert isinstance(assignment, Assignment)
    await redis.hset(KEYS.job(GOOD), "bytes_saved", 1)
    await stores.attempts.release(assignment)
    assert isinstance(await stores.attempts.start(GOOD, 0, "worker-1"), Assignment)


def test_a_job_is_of_the_lowest_format_that_knows_its_options() -> None:
    plain = make_job(id="a", source="/a", targets=["h:1/a:1"])
    assert format_of(plain) == 1
    assert format_of(plain.model_copy(update={"give_up_after": 60})) == 2
    upload = "upload:01m8h000000000000000000000"
    assert format_of(plain.model_copy(update={"source": upload})) == 3
    assert FORMAT == 3


@pytest.mark.usefixtures("jobs")
async def test_a_job_of_a_newer_format_is_left_to_newer_workers(
    stores: Stores, redis: Redis
) -> None:
    await redis.hset(KEYS.job(BAD), mapping={"format": FORMAT + 1, "compression": "lz4"})
    assert isinstance(await stores.attempts.start(BAD, 0, "worker-1"), Wait)
    job = await stores.jobs.status(BAD)
    assert (job.state, job.attempt, job.error) == (JobState.QUEUED, 0, None)
    assert job.waiting_for
    fields = await redis.hgetall(KEYS.job(BAD))
    assert fields[b"waiting_for"] == b"a worker that understands jobs of format %d" % (FORMAT + 1)
    assert not await stores.records.end_if_unreadable(BAD)
    assert await states(redis, BAD) == {JobState.QUEUED}


@pytest.mark.usefixtures("jobs")
async def test_a_job_of_a_newer_format_waits_for_no_registry(stores: Stores, redis: Redis) -> None:
    await RegistryLimits(Database(redis, KEYS), 1).pause("localhost:15000", "no answer", 60)
    for job_id in (GOOD, BAD):
        assert isinstance(await stores.attempts.start(job_id, 0, "newer"), Wait)
    await redis.hset(KEYS.job(BAD), "format", FORMAT + 1)
    assert isinstance(await stores.attempts.start(BAD, 0, "older"), Wait)
    assert await redis.zrange(KEYS.waiting("localhost:15000"), 0, -1) == [GOOD.encode()]


async def test_one_that_waits_leaves_the_lists_of_all_its_registries(
    stores: Stores, redis: Redis
) -> None:
    registries = ["one.example.com", "two.example.com"]
    targets = [f"{registry}/app:1" for registry in registries]
    await stores.jobs.create(make_job(id=BAD, source="/a.tar", targets=targets))
    for registry in registries:
        await RegistryLimits(Database(redis, KEYS), 1).pause(registry, "no answer", 60)
    assert isinstance(await stores.attempts.start(BAD, 0, "worker-1"), Wait)
    for registry in registries:
        assert await redis.zcard(KEYS.waiting(registry)) == 1
    await redis.hset(KEYS.job(BAD), "compression", "lz4")
    assert await stores.records.end_if_unreadable(BAD)
    for registry in registries:
        assert await redis.zcard(KEYS.waiting(registry)) == 0


@pytest.mark.usefixtures("jobs")
async def test_a_job_of_a_newer_format_whose_worker_died_is_put_back(redis: Redis) -> None:
    stores = Stores(redis, KEYS, lease_seconds=0)
    assignment = await stores.attempts.start(BAD, 0, "newer")
    assert isinstance(assignment, Assignment)
    await redis.hset(KEYS.job(BAD), "format", FORMAT + 1)
    assert isinstance(await stores.attempts.start(BAD, 0, "older"), Wait)
    job = await stores.jobs.status(BAD)
    assert (job.state, job.attempt, job.worker) == (JobState.QUEUED, 1, None)
    assert job.waiting_for
    assert [item.outcome for item in await stores.jobs.attempts(BAD)] == [Outcome.LOST]
    assert await stores.attempts.heartbeat(assignment) is Signal.LOST
    assert await states(redis, BAD) == {JobState.QUEUED}
    assert await stores.jobs.cancel(BAD) is JobState.CANCELLED


@pytest.mark.usefixtures("jobs")
async def test_a_job_of_a_newer_format_to_be_cancelled_ends_with_its_worker(
    redis: Redis,
) -> None:
    stores = Stores(redis, KEYS, lease_seconds=0)
    await stores.attempts.start(BAD, 0, "newer")
    await stores.jobs.cancel(BAD)
    await redis.hset(KEYS.job(BAD), "format", FORMAT + 1)
    assert await stores.attempts.start(BAD, 0, "older") is None
    assert (await stores.jobs.status(BAD)).state is JobState.CANCELLED
    assert await states(redis, BAD) == {JobState.CANCELLED}


@pytest.mark.usefixtures("jobs")
async def test_a_newer_worker_starts_it_at_once(
    stores: Stores, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.hset(KEYS.job(BAD), "format", FORMAT + 1)
    assert isinstance(await stores.attempts.start(BAD, 0, "older"), Wait)
    monkeypatch.setattr(formats, "FORMAT", FORMAT + 1)
    assignment = await stores.attempts.start(BAD, 0, "newer")
    assert isinstance(assignment, Assignment)
    assert assignment.attempt == 1
    assert (await stores.jobs.status(BAD)).waiting_for is None


@pytest.mark.usefixtures("jobs")
async def test_a_job_of_the_release_before_formats_is_understood(
    stores: Stores, redis: Redis
) -> None:
    await redis.hdel(KEYS.job(GOOD), "format")
    assert isinstance(await stores.attempts.start(GOOD, 0, "worker-1"), Assignment)
