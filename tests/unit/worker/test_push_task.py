"""How an attempt ends: what the job's status says, and what happens to its open uploads."""
# ruff: noqa: ASYNC240 - files of a few bytes

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import fakeredis
import pytest
from arq import Retry
from arq.worker import RetryJob

from push_queue.errors import RedisRefusedError
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState, Outcome
from push_queue.models.source_urls import SourceUrls
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from push_queue.settings import Settings, load_settings
from push_queue.worker_roster import WorkerRoster
from registry_api_v2_client import (
    ArchiveDigestError,
    DeniedError,
    HttpSettings,
    NoSlotError,
    OpenUploads,
    PushedImage,
    RateLimitedError,
    Reference,
    RegistryClient,
    RegistryError,
    RegistryUnavailableError,
    ServerError,
    SourceUnavailableError,
    TagOrder,
    UrlSources,
)
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from worker import attempt, progress_reporter
from worker.cleanup import Cleanup
from worker.errors import DeferError
from worker.fleet_limits import FleetLimits
from worker.housekeeper import Housekeeper
from worker.observer import WorkerObserver
from worker.presence import Presence
from worker.push_task import push_image
from worker.runtime import Runtime
from worker.tag_repair import TagRepair
from worker.webhooks.couriers import Couriers

TARGETS = ["localhost:15000/team/app:2", "localhost:15000/app:1"]
HOST = "localhost:15000"
DIGEST = "sha256:" + "d" * 64


class Client:
    """In place of the registry client: opens one upload, then does what the test says."""

    def __init__(self) -> None:
        self.outcome: BaseException | None = None
        self.hangs = False
        self.started = asyncio.Event()
        self.abandoned = 0
        self.stopped = False
        self.pushes: list[list[str]] = []

    async def push(
        self,
        source: Path,
        references: Sequence[Reference],
        *,
        uploads: OpenUploads,
        tag_order: TagOrder,
        **_: Any,
    ) -> PushedImage:
        self.pushes.append([str(reference) for reference in references])
        uploads.add("layer", self._abandon)
        self.started.set()
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped = True
        if self.outcome:
            raise self.outcome
        uploads.remove("layer")
        for reference in references:
            async with tag_order.turn(str(reference), DIGEST):
                pass
        return PushedImage(DIGEST, "application/vnd.oci.image.manifest.v1+json")

    async def _abandon(self) -> None:
        self.abandoned += 1


@pytest.fixture
def client() -> Client:
    return Client()


class Ends(WorkerObserver):
    """Keeps what it hears of attempts."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.seconds: list[float] = []

    def attempt_ended(self, outcome: str, error_kind: str, seconds: float) -> None:
        self.heard.append((outcome, error_kind))
        self.seconds.append(seconds)


@pytest.fixture
def observer() -> Ends:
    return Ends()


@pytest.fixture
def runtime(redis: Redis, stores: Stores, client: Client, observer: Ends) -> Runtime:
    limits = FleetLimits(
        RegistryLimits(Database(redis, Keys()), 10),
        max_uploads=10,
        lease_seconds=15,
        crowded=lambda: False,
    )
    return Runtime(
        worker_id="worker-1",
        settings=load_settings(),
        jobs=stores.jobs,
        attempts=stores.attempts,
        sources=stores.sources,
        tag_turns=stores.turns,
        queue=cast(ArqQueue, None),
        client=cast(RegistryClient, client),
        urls=UrlSources(HttpSettings(SourceUrls())),
        cleanup=Cleanup(stores.jobs, stores.sources, Settings()),
        limits=limits,
        presence=Presence(WorkerRoster(stores.database), "worker-1"),
        housekeeper=cast(Housekeeper, None),
        tag_repair=cast(TagRepair, None),
        observer=observer,
        couriers=cast(Couriers, None),
    )


class Refusals:
    """How often Redis refuses an outcome from now on, and what happens before it accepts one."""

    def __init__(self) -> None:
        self.count = 0
        self.before_the_last: Callable[[], Awaitable[None]] | None = None


@pytest.fixture
def refusals(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Refusals:
    monkeypatch.setattr(attempt, "_SETTLE_AGAIN_SECONDS", 0.0)
    refusals = Refusals()
    settle = stores.attempts._settle

    async def settle_or_refuse(*args: Any, **kwargs: Any) -> JobState | None:
        if refusals.count:
            refusals.count -= 1
            if not refusals.count and refusals.before_the_last:
                await refusals.before_the_last()
            raise RedisRefusedError("out of memory")
        return await settle(*args, **kwargs)

    monkeypatch.setattr(stores.attempts, "_settle", settle_or_refuse)
    return refusals


async def enqueue(stores: Stores, **fields: Any) -> None:
    await stores.jobs.create(make_job(id="job-1", source=__file__, targets=TARGETS, **fields))


class LeaseDouble:
    def __init__(self) -> None:
        self.lost = False
        self.delay: float | None = None

    async def lose(self) -> None:
        self.lost = True

    def put_off(self, seconds: float) -> None:
        self.delay = seconds


async def run(runtime: Runtime, generation: int = 0, lease: LeaseDouble | None = None) -> None:
    ctx = {"runtime": runtime, "lease": lease or LeaseDouble(), "score": 0}
    await push_image(ctx, "job-1", generation)


async def ended(stores: Stores) -> list[tuple[Outcome, str | None]]:
    return [
        (attempt.outcome, attempt.error_kind) for attempt in await stores.jobs.attempts("job-1")
    ]


def heard(runtime: Runtime) -> list[tuple[str, str]]:
    """What the observer was told of the attempts: outcome and kind of the error."""
    return cast(Ends, runtime.observer).heard


async def test_a_push_that_succeeds(runtime: Runtime, stores: Stores, client: Client) -> None:
    await enqueue(stores)
    await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.digest) == (JobState.SUCCEEDED, DIGEST)
    assert [(result.target, result.digest) for result in job.results] == [
        (target, DIGEST) for target in TARGETS
    ]
    assert client.pushes == [TARGETS]
    assert client.abandoned == 0
    assert runtime.presence.running == 0
    assert heard(runtime) == [("succeeded", "")]


@pytest.mark.parametrize("job_id", ["job-1", "never enqueued"])
async def test_nothing_to_run_is_not_run(
    job_id: str, runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores)
    await stores.jobs.cancel("job-1")
    await push_image({"runtime": runtime, "score": 0}, job_id, 0)
    assert client.pushes == []


async def test_a_permanent_error_fails_the_job_and_closes_its_uploads(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores)
    client.outcome = ArchiveDigestError("layer.tar has another digest")
    await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.error_kind) == (JobState.FAILED, "archive_digest_mismatch")
    assert job.error == "layer.tar has another digest"
    assert client.abandoned == 1
    assert heard(runtime) == [("failed", "archive_digest_mismatch")]


async def test_a_passing_error_is_tried_again_and_leaves_its_uploads(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores, max_attempts=2)
    client.outcome = ServerError("no answer", status=500)
    with pytest.raises(Retry):
        await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.error) == (JobState.RETRYING, "no answer")
    assert client.abandoned == 0
    await run(runtime)
    assert (await stores.jobs.status("job-1")).state is JobState.FAILED
    assert await ended(stores) == [(Outcome.FAILED, "registry_unavailable")] * 2
    assert client.abandoned == 1, "by the last attempt"
    assert heard(runtime) == [
        ("retrying", "registry_unavailable"),
        ("failed", "registry_unavailable"),
    ]


async def test_the_wait_is_at_least_what_the_registry_asks_for(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores)
    client.outcome = RateLimitedError("slow down", status=429, retry_after=600.0)
    lease = LeaseDouble()
    with pytest.raises(Retry):
        await run(runtime, lease=lease)
    assert lease.delay is not None
    assert lease.delay >= 600


async def test_an_error_nobody_thought_of_fails_the_job_without_its_details(
    runtime: Runtime, stores: Stores, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await enqueue(stores)
    client.outcome = ZeroDivisionError("a secret detail")
    await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.error_kind) == (JobState.FAILED, "internal")
    assert "secret" not in (job.error or "")
    assert "ZeroDivisionError" in caplog.text
    assert client.abandoned == 1


async def test_a_cancelled_job_stops_and_closes_its_uploads(
    runtime: Runtime, stores: Stores, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_reporter, "_WRITE_SECONDS", 0.0)
    await enqueue(stores)
    client.hangs = True
    running = asyncio.create_task(run(runtime))
    await client.started.wait()
    await stores.jobs.cancel("job-1")
    async with asyncio.timeout(60):
        await running
    assert (await stores.jobs.status("job-1")).state is JobState.CANCELLED
    assert await ended(stores) == [(Outcome.CANCELLED, None)]
    assert heard(runtime) == [("cancelled", "")]
    assert client.stopped
    assert client.abandoned == 1


async def test_a_job_that_another_worker_has_taken_is_left_to_it(
    runtime: Runtime, stores: Stores, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_reporter, "_WRITE_SECONDS", 0.0)
    await enqueue(stores)
    client.hangs = True
    lease = LeaseDouble()
    running = asyncio.create_task(run(runtime, lease=lease))
    await client.started.wait()
    assert await stores.attempts.start("job-1", 0, "worker-2")
    with pytest.raises(RetryJob):
        async with asyncio.timeout(60):
            await running
    assert lease.lost, "arq's records of the job are the other worker's"
    job = await stores.jobs.status("job-1")
    assert (job.state, job.worker) == (JobState.RUNNING, "worker-2")
    assert client.stopped
    assert client.abandoned == 0, "the other one goes on with the upload"
    assert heard(runtime) == [("lost", "")]


async def test_a_worker_that_stops_hands_the_job_back_and_leaves_its_uploads(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores, max_attempts=1)
    client.hangs = True
    running = asyncio.create_task(run(runtime))
    await client.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await stores.jobs.status("job-1")).state is JobState.QUEUED
    assert await ended(stores) == [(Outcome.RELEASED, None)]
    assert heard(runtime) == [("released", "")]
    assert client.stopped
    assert client.abandoned == 0
    assert runtime.presence.running == 0


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, JobState.SUCCEEDED),
        (ArchiveDigestError("bad"), JobState.FAILED),
        (RegistryError("odd"), JobState.FAILED),
        (ZeroDivisionError(), JobState.FAILED),
        (DeferError("all slots are taken", 0), JobState.QUEUED),
    ],
)
async def test_an_outcome_that_redis_does_not_take_is_written_when_it_does(
    outcome: BaseException | None,
    state: JobState,
    runtime: Runtime,
    stores: Stores,
    client: Client,
    refusals: Refusals,
) -> None:
    await enqueue(stores, max_attempts=1)
    client.outcome = outcome
    refusals.count = 3
    with suppress(Retry):
        await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, refusals.count) == (state, 0)
    assert len(client.pushes) == 1


async def test_an_outcome_that_comes_too_late_is_left_to_who_has_the_job_now(
    runtime: Runtime, stores: Stores, client: Client, refusals: Refusals
) -> None:
    await enqueue(stores)
    client.outcome = ArchiveDigestError("bad")

    async def take_over() -> None:
        assert await stores.attempts.start("job-1", 0, "worker-2")

    refusals.count = 1
    refusals.before_the_last = take_over
    lease = LeaseDouble()
    with pytest.raises(RetryJob):
        await run(runtime, lease=lease)
    assert lease.lost
    assert (await stores.jobs.status("job-1")).worker == "worker-2"


async def test_a_job_that_cannot_be_started_without_redis_is_tried_again(
    runtime: Runtime, stores: Stores, client: Client, server: fakeredis.FakeServer
) -> None:
    await enqueue(stores)
    server.connected = False
    with pytest.raises(Retry):
        await run(runtime)
    assert client.pushes == []


# Putting off


def away(error: RegistryError, retry_after: float | None = None) -> RegistryError:
    error.registry = HOST
    error.retry_after = retry_after
    return error


@pytest.mark.parametrize(
    "error",
    [
        away(RegistryUnavailableError("no answer")),
        away(RateLimitedError("slow down", status=429)),
        away(RateLimitedError("slow down", status=429), 600),
        away(ServerError("bad gateway", status=502)),
    ],
)
async def test_a_registry_that_is_away_uses_up_no_attempt(
    error: RegistryError,
    runtime: Runtime,
    redis: Redis,
    stores: Stores,
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "worker.attempt")
    await enqueue(stores, max_attempts=1)
    client.outcome = error
    lease = LeaseDouble()
    with pytest.raises(Retry):
        await run(runtime, lease=lease)
    assert lease.delay == 0, "to wait where the jobs of that registry do"
    job = await stores.jobs.status("job-1")
    assert (job.state, job.attempt, job.waiting_for) == (JobState.QUEUED, 0, str(error))
    assert f"put off while {HOST} is left alone: {error}" in caplog.messages
    assert await ended(stores) == [(Outcome.DEFERRED, error.kind)]
    assert heard(runtime) == [("deferred", error.kind)]
    assert client.abandoned == 0
    with pytest.raises(Retry):
        await run(runtime)
    assert len(client.pushes) == 1, "it is left alone by all"
    asked = error.retry_after or 0
    assert await redis.pttl(Keys().pause(HOST)) > asked * 1000


@pytest.mark.parametrize(
    "error", [DeniedError("denied", status=403), ServerError("internal error", status=500)]
)
async def test_a_registry_that_answers_with_an_error_is_not_away(
    error: RegistryError, runtime: Runtime, redis: Redis, stores: Stores, client: Client
) -> None:
    await runtime.limits.leave_alone(away(RegistryUnavailableError("no answer")))
    await redis.hset(Keys().pause(HOST), "until", 0)
    await enqueue(stores)
    client.outcome = away(error)
    with suppress(Retry):
        await run(runtime)
    assert (await stores.jobs.attempts("job-1"))[0].outcome is Outcome.FAILED
    assert not await redis.exists(Keys().pause(HOST))


@pytest.mark.parametrize("retry_after", [None, 600.0])
async def test_a_server_of_tars_that_is_away_uses_up_no_attempt(
    retry_after: float | None, runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores, max_attempts=1)
    client.outcome = SourceUnavailableError("https://host/app.tar did not answer in time")
    client.outcome.retry_after = retry_after
    lease = LeaseDouble()
    with pytest.raises(Retry):
        await run(runtime, lease=lease)
    assert lease.delay
    assert lease.delay >= (retry_after or 5.0)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert job.waiting_for == str(client.outcome)
    assert await ended(stores) == [(Outcome.DEFERRED, "source_unavailable")]
    assert client.abandoned == 0


async def test_no_server_of_tars_has_a_job_wait_for_longer_than_it_would(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores, give_up_after=8)
    client.outcome = SourceUnavailableError("https://host/app.tar: its server answered 503")
    client.outcome.retry_after = 3600.0
    lease = LeaseDouble()
    with pytest.raises(Retry):
        await run(runtime, lease=lease)
    assert lease.delay == 8


@pytest.mark.parametrize(
    "error",
    [away(RegistryUnavailableError("no answer")), SourceUnavailableError("no answer")],
)
async def test_a_job_that_has_waited_long_enough_fails_and_closes_its_uploads(
    error: RegistryError, runtime: Runtime, redis: Redis, stores: Stores, client: Client
) -> None:
    await enqueue(stores)
    await redis.hset(Keys().job("job-1"), "give_up_at", "2026-01-01T00:00:00.000Z")
    client.outcome = error
    await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.error) == (JobState.FAILED, "no answer")
    assert client.abandoned == 1


async def test_a_push_without_a_slot_waits_in_the_queue(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await enqueue(stores)
    client.outcome = NoSlotError("all slots are taken")
    lease = LeaseDouble()
    with pytest.raises(Retry):
        await run(runtime, lease=lease)
    assert lease.delay
    assert 1 <= lease.delay <= 3
    job = await stores.jobs.status("job-1")
    assert (job.state, job.attempt, job.give_up_at) == (JobState.QUEUED, 0, None)
    assert job.waiting_for == "all slots are taken"


async def test_a_turn_that_redis_refuses_is_no_failure_of_the_push(
    runtime: Runtime, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise RedisRefusedError("out of memory")

    await enqueue(stores)
    monkeypatch.setattr(stores.turns, "take", refuse)
    with pytest.raises(Retry):
        await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.attempt, job.waiting_for) == (JobState.QUEUED, 0, "out of memory")


async def test_only_the_targets_that_can_be_tried_are_pushed(
    runtime: Runtime, redis: Redis, stores: Stores, client: Client
) -> None:
    there = "other:5000/app:1"
    await stores.jobs.create(make_job(id="job-1", source=__file__, targets=[TARGETS[0], there]))
    await RegistryLimits(Database(redis, Keys()), 1).pause("localhost:15000", "no answer", 60)
    with pytest.raises(Retry):
        await run(runtime)
    assert client.pushes == [[there]]
    assert (await stores.jobs.status("job-1")).state is JobState.QUEUED


async def test_a_target_that_is_not_allowed_fails_the_job_before_anything_is_read(
    runtime: Runtime, stores: Stores, client: Client
) -> None:
    await stores.jobs.create(make_job(id="job-1", source="/not-there.tar", targets=TARGETS))
    settings = runtime.settings.model_copy(update={"targets": ("localhost:15000/team/*",)})
    await run(dataclasses.replace(runtime, settings=settings))
    job = await stores.jobs.status("job-1")
    assert (job.state, job.error_kind) == (JobState.FAILED, "target_not_allowed")
    assert "localhost:15000/app " in (job.error or "")
    assert client.pushes == []


# Deleting the source


async def supersede(stores: Stores) -> None:
    """A job enqueued later writes all the tags."""
    await stores.jobs.create(make_job(id="newer", source="/a", targets=TARGETS))
    assignment = await stores.attempts.start("newer", 0, "worker-2")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, "sha256:newer")


@pytest.mark.parametrize(
    ("how", "state", "kept"),
    [
        ("pushed", JobState.SUCCEEDED, False),
        ("superseded", JobState.SUPERSEDED, False),
        ("superseded before", JobState.SUPERSEDED, False),
        ("failed", JobState.FAILED, True),
        ("without cleanup", JobState.SUCCEEDED, True),
    ],
)
async def test_the_source_is_deleted_unless_the_push_failed(
    how: str,
    state: JobState,
    kept: bool,
    runtime: Runtime,
    stores: Stores,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "app.tar"
    source.touch()
    settings = runtime.settings.model_copy(update={"source_roots": (tmp_path,)})
    cleanup = how != "without cleanup"
    await stores.jobs.create(
        make_job(id="job-1", source=str(source), targets=TARGETS, cleanup=cleanup)
    )
    if how == "failed":
        client.outcome = ArchiveDigestError("layer.tar has another digest")
    if how == "superseded before":
        await supersede(stores)
    push = client.push

    async def push_late(*args: Any, **kwargs: Any) -> PushedImage:
        if how == "superseded":
            await supersede(stores)
        return await push(*args, **kwargs)

    monkeypatch.setattr(client, "push", push_late)
    cleanup_of = Cleanup(stores.jobs, stores.sources, settings)
    await run(dataclasses.replace(runtime, settings=settings, cleanup=cleanup_of))
    job = await stores.jobs.status("job-1")
    assert job.state is state
    assert source.exists() is kept
    assert job.cleanup_outcome == (None if kept else "deleted")


async def fail_once(
    runtime: Runtime, stores: Stores, client: Client, source: Path, **fields: Any
) -> None:
    """The job's first attempt opens the tar, and then something fails."""
    source.write_bytes(b"a tar")
    await stores.jobs.create(make_job(id="job-1", source=str(source), targets=TARGETS, **fields))
    client.outcome = ServerError("no answer", status=500)
    with suppress(Retry):
        await run(runtime)
    client.outcome = None


async def test_a_tar_that_is_replaced_between_attempts_is_not_pushed(
    runtime: Runtime, stores: Stores, client: Client, tmp_path: Path
) -> None:
    source = tmp_path / "app.tar"
    await fail_once(runtime, stores, client, source)
    source.write_bytes(b"the next build")
    await run(runtime)
    job = await stores.jobs.status("job-1")
    assert (job.state, job.error_kind) == (JobState.FAILED, "source_changed")
    assert "push-queue retry job-1" in (job.error or "")
    assert len(client.pushes) == 1
    await stores.jobs.requeue("job-1")
    await run(runtime, generation=1)
    assert (await stores.jobs.status("job-1")).state is JobState.SUCCEEDED, (
        "retry takes what is there"
    )


async def test_a_retry_of_another_failure_takes_the_tar_that_is_there(
    runtime: Runtime, stores: Stores, client: Client, tmp_path: Path
) -> None:
    source = tmp_path / "app.tar"
    await fail_once(runtime, stores, client, source, max_attempts=1)
    assert (await stores.jobs.status("job-1")).state is JobState.FAILED
    source.write_bytes(b"the next build")
    await stores.jobs.requeue("job-1")
    await run(runtime, generation=1)
    assert (await stores.jobs.status("job-1")).state is JobState.SUCCEEDED


async def test_another_number_of_the_same_tar_is_no_change(
    runtime: Runtime, stores: Stores, client: Client, tmp_path: Path
) -> None:
    """As seen by hosts that number the files of a network file system by themselves."""
    source = tmp_path / "app.tar"
    await fail_once(runtime, stores, client, source)
    seen = source.stat()
    copy = tmp_path / "copy"
    copy.write_bytes(source.read_bytes())
    os.utime(copy, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    copy.rename(source)
    assert source.stat().st_ino != seen.st_ino
    await run(runtime)
    assert (await stores.jobs.status("job-1")).state is JobState.SUCCEEDED
