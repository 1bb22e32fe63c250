import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis
from redis.asyncio.client import Pipeline

from producer import (
    InvalidJobError,
    JobConflictError,
    JobState,
    JobStatus,
    PushQueue,
    UnknownJobError,
    WaitTimeoutError,
)
from push_queue.jobs.changes import JobChanges
from push_queue.models.assignments import Assignment
from push_queue.redis.keys import Keys
from registry_api_v2_client import ValidationError
from tests.support.assignments import succeed
from tests.support.stores import Stores

TARGET = "localhost:15000/app:1"
DIGEST = "sha256:" + "d" * 64


async def handed_over(redis: ArqRedis, keys: Keys) -> list[tuple[str | None, tuple[object, ...]]]:
    return [(job.job_id, tuple(job.args)) for job in await redis.queued_jobs()]


async def taken_by_arq(redis: ArqRedis, keys: Keys) -> None:
    """What a worker leaves of arq's records once it ran everything."""
    for job in await redis.queued_jobs():
        await redis.delete(f"arq:job:{job.job_id}")
    await redis.delete(keys.queue)


async def started(stores: Stores, job_id: str, generation: int = 0) -> Assignment:
    assignment = await stores.attempts.start(job_id, generation, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def finish(stores: Stores, job_id: str) -> None:
    await succeed(stores, await started(stores, job_id), DIGEST)


# Enqueueing


async def test_enqueue_writes_the_record_and_hands_it_to_arq(
    queue: PushQueue, redis: ArqRedis, keys: Keys
) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET, labels={"branch": "main"})
    assert await queue.status(job.id) == job
    assert (job.state, job.source, job.targets) == (JobState.QUEUED, "/images/app.tar", (TARGET,))
    assert (job.max_attempts, job.labels) == (5, {"branch": "main"})
    (record,) = await redis.queued_jobs()
    assert (record.function, [*record.args]) == ("push_image", [job.id, 0])
    assert record.job_id == keys.arq_job_id(job.id, 0)


async def test_arqs_record_outlives_a_long_wait(
    queue: PushQueue, redis: ArqRedis, keys: Keys
) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)
    year = 365 * 24 * 3600
    assert await redis.ttl(f"arq:job:{keys.arq_job_id(job.id, 0)}") > year


async def test_targets_are_completed_and_a_relative_source_is_resolved(queue: PushQueue) -> None:
    job = await queue.enqueue("app.tar", ["localhost:15000/app", "Registry.Example.com/b:2"])
    assert job.source == str(Path.cwd() / "app.tar")
    assert job.targets == ("localhost:15000/app:latest", "registry.example.com/b:2")


async def test_a_source_has_one_name(queue: PushQueue, tmp_path: Path) -> None:
    job = await queue.enqueue("/images/./new/../app.tar", TARGET)
    assert job.source == "/images/app.tar"
    tar = tmp_path / "app.tar"
    tar.touch()
    job = await queue.enqueue(f"{tmp_path}/../{tmp_path.name}/app.tar", TARGET)
    assert job.source == str(tar)


async def test_a_source_up_from_a_link_stays_that_file(queue: PushQueue, tmp_path: Path) -> None:
    (tmp_path / "there" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "there" / "folder")
    for folder in (tmp_path, tmp_path / "there"):
        (folder / "app.tar").touch()
    named = tmp_path / "link" / ".." / "app.tar"
    assert (await queue.enqueue(named, TARGET)).source == str(named)


@pytest.mark.parametrize("target", ["Foo/Bar:1", "localhost:5000", "", f"localhost/app@{DIGEST}"])
async def test_a_bad_target_enqueues_nothing(
    queue: PushQueue, redis: ArqRedis, target: str
) -> None:
    with pytest.raises(ValidationError):
        await queue.enqueue("/images/app.tar", [TARGET, target])
    assert await redis.dbsize() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"job_id": "a b"},
        {"job_id": ""},
        {"max_attempts": 0},
        {"compression": "lzma"},
        {"not_before": datetime(2026, 1, 31)},
        {"not_before": datetime.max.replace(tzinfo=UTC)},
        {"not_before": timedelta.max},
    ],
)
async def test_an_impossible_job_enqueues_nothing(
    queue: PushQueue, redis: ArqRedis, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidJobError):
        await queue.enqueue("/images/app.tar", TARGET, **fields)
    assert await redis.dbsize() == 0


async def test_the_same_id_is_enqueued_once(queue: PushQueue, redis: ArqRedis, keys: Keys) -> None:
    first = await queue.enqueue("/images/app.tar", TARGET, job_id="build-7")
    assert await queue.enqueue("/images/app.tar", TARGET, job_id="build-7") == first
    assert len(await handed_over(redis, keys)) == 1


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("source", "/images/other.tar", "source /images/app.tar, not /images/other.tar"),
        ("targets", ["localhost/b:2"], f"targets {TARGET}, not localhost/b:2"),
        ("compression", "zstd", "compression gzip, not zstd"),
        ("ordered", False, "ordered True, not False"),
        ("platform", "linux/arm64", "platform None, not linux/arm64"),
    ],
)
async def test_an_id_names_one_job(
    queue: PushQueue, redis: ArqRedis, field: str, value: Any, named: str
) -> None:
    job: dict[str, Any] = {"source": "/images/app.tar", "targets": TARGET, "job_id": "build-7"}
    first = await queue.enqueue(**job)
    with pytest.raises(JobConflictError, match="build-7") as caught:
        await queue.enqueue(**{**job, field: value})
    assert named in str(caught.value)
    assert await queue.status("build-7") == first
    assert len(await redis.queued_jobs()) == 1


async def test_other_labels_make_no_other_job(queue: PushQueue) -> None:
    first = await queue.enqueue("/images/app.tar", TARGET, job_id="build-7")
    labels = {"run": "2"}
    assert await queue.enqueue("/images/app.tar", TARGET, job_id="build-7", labels=labels) == first


async def test_many_are_enqueued_in_their_order(
    queue: PushQueue, redis: ArqRedis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.queue.SENT_AT_ONCE", 2)
    described = [queue.describe(f"/{number}.tar", TARGET, priority="low") for number in range(5)]
    jobs = await queue.enqueue_many(iter(described))
    assert [job.job for job in jobs] == described
    assert await queue.list() == tuple(reversed(jobs))
    assert {args for _, args in await handed_over(redis, keys)} == {(job.id, 0) for job in jobs}


async def test_many_are_sent_in_one_round_trip(
    queue: PushQueue, redis: ArqRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    execute = Pipeline.execute

    async def counted(pipeline: Pipeline, raise_on_error: bool = True) -> list[object]:
        sent.append(len(pipeline.command_stack))
        return await execute(pipeline, raise_on_error)

    monkeypatch.setattr(Pipeline, "execute", counted)
    await queue.enqueue_many(queue.describe(f"/{number}.tar", TARGET) for number in range(150))
    assert sent == [150]


async def test_enqueueing_many_again_enqueues_the_rest(queue: PushQueue) -> None:
    jobs = [queue.describe(f"/{number}.tar", TARGET) for number in range(3)]
    (first,) = await queue.enqueue_many(jobs[:1])
    again = await queue.enqueue_many(jobs)
    assert again[0] == first
    assert [job.id for job in await queue.list()] == [job.id for job in reversed(jobs)]


async def test_a_conflict_among_many_names_the_job_and_leaves_the_others(queue: PushQueue) -> None:
    await queue.enqueue("/other.tar", TARGET, job_id="mine")
    jobs = [queue.describe(f"/{name}.tar", TARGET, job_id=name) for name in ("a", "mine", "z")]
    with pytest.raises(JobConflictError, match=r"job mine exists, with source /other\.tar"):
        await queue.enqueue_many(jobs)
    assert (await queue.status("z")).state is JobState.QUEUED


async def test_enqueueing_again_heals_a_producer_that_died_half_way(
    queue: PushQueue, redis: ArqRedis, keys: Keys
) -> None:
    await queue.enqueue("/images/app.tar", TARGET, job_id="build-7")
    await taken_by_arq(redis, keys)
    await queue.enqueue("/images/app.tar", TARGET, job_id="build-7")
    assert await handed_over(redis, keys) == [(keys.arq_job_id("build-7", 0), ("build-7", 0))]


async def test_a_job_under_way_is_not_handed_over_again(
    queue: PushQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await queue.enqueue("/images/app.tar", TARGET, job_id="build-7")
    await taken_by_arq(redis, keys)
    await started(stores, "build-7")
    job = await queue.enqueue("/images/app.tar", TARGET, job_id="build-7")
    assert job.state is JobState.RUNNING
    assert await handed_over(redis, keys) == []


# Following


async def test_watch_shows_each_change_until_the_end(queue: PushQueue, stores: Stores) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)
    states = []
    async for status in queue.watch(job.id):
        states.append(status.state)
        if status.state is JobState.QUEUED:
            assignment = await started(stores, job.id)
        elif status.state is JobState.RUNNING:
            await succeed(stores, assignment, DIGEST)
    assert states == ["queued", "running", "succeeded"]


async def test_watch_ends_when_all_have_ended(queue: PushQueue, stores: Stores) -> None:
    jobs = [await queue.enqueue("/images/app.tar", TARGET) for _ in range(3)]
    await finish(stores, jobs[0].id)
    ended = []
    async for status in queue.watch(*(job.id for job in jobs)):
        if status.state.final:
            ended.append(status.id)
            if len(ended) < len(jobs):
                await finish(stores, jobs[len(ended)].id)
    assert ended == [job.id for job in jobs]


async def test_watch_survives_lost_messages(
    queue: PushQueue, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)

    async def deaf(self: JobChanges, timeout: float) -> None:
        if (await stores.jobs.status(job.id)).state is JobState.QUEUED:
            await finish(stores, job.id)

    monkeypatch.setattr(JobChanges, "next", deaf)
    states = [status.state async for status in queue.watch(job.id)]
    assert states == ["queued", "succeeded"]


async def test_watch_without_ids_follows_what_runs(queue: PushQueue, stores: Stores) -> None:
    first = await queue.enqueue("/images/app.tar", TARGET)
    await started(stores, first.id)
    changes = queue.watch()
    assert (await anext(changes)).id == first.id
    second = await queue.enqueue("/images/app.tar", TARGET)
    seen = await anext(changes)
    assert (seen.id, seen.state) == (second.id, JobState.QUEUED)
    await changes.aclose()


async def test_watch_without_ids_passes_over_what_is_forgotten_meanwhile(
    queue: PushQueue, stores: Stores
) -> None:
    first = await queue.enqueue("/images/app.tar", TARGET)
    changes = queue.watch()
    assert (await anext(changes)).id == first.id
    await finish(stores, first.id)
    await stores.jobs.purge_all([first.id])
    second = await queue.enqueue("/images/app.tar", TARGET)
    assert (await anext(changes)).id == second.id
    await changes.aclose()


async def test_wait_returns_the_finished_job(queue: PushQueue, stores: Stores) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)
    waiting = asyncio.create_task(queue.wait(job.id, timeout=60))
    await finish(stores, job.id)
    status: JobStatus = await waiting
    assert (status.state, status.digest) == (JobState.SUCCEEDED, DIGEST)


async def test_wait_gives_up_in_time(queue: PushQueue) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)
    with pytest.raises(WaitTimeoutError, match=rf"{job.id} did not finish within 0\.01 s"):
        await queue.wait(job.id, timeout=0.01)
    assert (await queue.status(job.id)).state is JobState.QUEUED


@pytest.mark.parametrize("method", ["status", "wait", "cancel", "retry"])
async def test_an_unknown_id_is_an_error(queue: PushQueue, method: str) -> None:
    with pytest.raises(UnknownJobError, match="'nope'"):
        await getattr(queue, method)("nope")


# The rest


async def test_listing_is_paged(queue: PushQueue) -> None:
    for number in range(3):
        await queue.enqueue("/images/app.tar", TARGET, job_id=f"job-{number}")
    assert [job.id for job in await queue.list(limit=2)] == ["job-2", "job-1"]
    assert [job.id for job in await queue.list(JobState.QUEUED, offset=2)] == ["job-0"]
    assert await queue.list(JobState.FAILED) == ()


async def test_cancel(queue: PushQueue) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)
    assert await queue.cancel(job.id) is JobState.CANCELLED
    assert await queue.cancel(job.id) is JobState.CANCELLED


async def test_retry_hands_a_new_generation_to_arq(
    queue: PushQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    job = await queue.enqueue("/images/app.tar", TARGET)
    await finish(stores, job.id)
    for _ in range(2):
        again = await queue.retry(job.id)
        assert (again.state, again.generation) == (JobState.QUEUED, 1)
    assert (keys.arq_job_id(job.id, 1), (job.id, 1)) in await handed_over(redis, keys)
    assert len(await handed_over(redis, keys)) == 2, "the old record and the new one"
    assert [attempt.outcome for attempt in await queue.attempts(job.id)] == ["succeeded"]
