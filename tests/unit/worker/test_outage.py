"""A registry that is down uses up time: its jobs wait at no cost, and start in order afterwards."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import fakeredis
import pytest
from arq import Retry
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix

from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.models.source_urls import SourceUrls
from push_queue.redis.connection import arq_options
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from push_queue.settings import Settings, load_settings
from push_queue.worker_roster import WorkerRoster
from registry_api_v2_client import (
    HttpSettings,
    PushedImage,
    RateLimitedError,
    Reference,
    RegistryClient,
    RegistryError,
    RegistryUnavailableError,
    TagOrder,
    UrlSources,
)
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores
from worker.arq_lease import ArqLease
from worker.cleanup import Cleanup
from worker.fleet_limits import FleetLimits
from worker.housekeeper import Housekeeper
from worker.presence import Presence
from worker.push_task import push_image
from worker.runtime import Runtime
from worker.tag_repair import TagRepair
from worker.webhooks.couriers import Couriers

KEYS = Keys()
AWAY, WELL = "away:5000", "well:5000"
DIGEST = "sha256:" + "d" * 64
SLOTS = 20
MAX_UPLOADS = 5
LEASE_SECONDS = 15
HALF_AN_HOUR = 1800


class Client:
    """In place of the registry client; one of the registries is down until a moment."""

    def __init__(self, clock: RedisClock) -> None:
        self._clock = clock
        self.back_at = 0.0
        self.error: RegistryError = RegistryUnavailableError("refused")
        self.tries: Counter[str] = Counter()
        self.pushed: list[str] = []

    async def push(
        self, source: Path, references: Sequence[Reference], *, tag_order: TagOrder, **_: Any
    ) -> PushedImage:
        (reference,) = references
        self.tries[reference.registry] += 1
        if reference.registry == AWAY and self._clock.now < self.back_at:
            self.error.registry = AWAY
            raise self.error
        async with tag_order.turn(str(reference), DIGEST):
            self.pushed.append(str(reference))
        return PushedImage(DIGEST, "application/vnd.oci.image.manifest.v1+json")


class Fleet:
    """What arq does with the queue, a second at a time, and the worker that leads."""

    def __init__(self, redis: Redis, clock: RedisClock) -> None:
        self.redis = redis
        self.clock = clock
        self.stores = Stores(redis, KEYS, registry_max_uploads=MAX_UPLOADS)
        self.client = Client(clock)
        self.runs = 0
        limits = FleetLimits(
            self.stores.limits,
            max_uploads=MAX_UPLOADS,
            lease_seconds=LEASE_SECONDS,
            crowded=lambda: False,
        )
        self._runtime = Runtime(
            worker_id="worker-1",
            settings=load_settings(),
            jobs=self.stores.jobs,
            attempts=self.stores.attempts,
            sources=self.stores.sources,
            tag_turns=self.stores.turns,
            queue=self.stores.queue,
            client=cast(RegistryClient, self.client),
            urls=UrlSources(HttpSettings(SourceUrls())),
            limits=limits,
            cleanup=Cleanup(self.stores.jobs, self.stores.sources, Settings()),
            presence=Presence(WorkerRoster(self.stores.database), "worker-1"),
            housekeeper=cast(Housekeeper, None),
            tag_repair=cast(TagRepair, None),
            couriers=cast(Couriers, None),
        )

    async def enqueue(
        self, registry: str, count: int, *, name: str = "", **fields: Any
    ) -> list[str]:
        name = name or registry.partition(":")[0]
        ids = [f"{name}-{number:04}" for number in range(count)]
        for job_id in ids:
            job = make_job(id=job_id, source=__file__, targets=[f"{registry}/{job_id}:1"], **fields)
            await self.stores.jobs.create(job)
        return ids

    async def second(self) -> None:
        await self.stores.queue.promote()
        await self.stores.queue.release()
        while taken := await self.stores.queue.take(SLOTS, LEASE_SECONDS):
            for arq_id, score in taken:
                await self._run(arq_id, score)
        self.clock.advance(1)

    async def states(self, ids: Sequence[str]) -> Counter[JobState]:
        return Counter([(await self.stores.jobs.status(job_id)).state for job_id in ids])

    async def _run(self, arq_id: str, score: int) -> None:
        self.runs += 1
        _, job_id, generation = arq_id.split(":")
        lease = ArqLease(self.stores.queue, arq_id, score, LEASE_SECONDS)
        await lease.take()
        try:
            ctx = {"runtime": self._runtime, "lease": lease, "score": score}
            await push_image(ctx, job_id, int(generation))
        except Retry:
            await lease.give_back()
        else:
            await lease.give_back()
            await self.redis.zrem(KEYS.queue, arq_id)
        await self.redis.delete(in_progress_key_prefix + arq_id)


@pytest.fixture
async def fleet(clock: RedisClock) -> AsyncIterator[Fleet]:
    async with fakeredis.FakeAsyncRedis() as fake:
        redis = ArqRedis(fake.connection_pool, default_queue_name=KEYS.queue, **arq_options())
        yield Fleet(redis, clock)


async def test_half_an_hour_without_its_registry_fails_no_job(
    fleet: Fleet, clock: RedisClock
) -> None:
    fleet.client.back_at = clock.now + HALF_AN_HOUR
    waiting = await fleet.enqueue(AWAY, 200, max_attempts=1)
    await fleet.second()
    assert await fleet.states(waiting) == {JobState.QUEUED: 200}
    others = await fleet.enqueue(WELL, 20)
    await fleet.second()
    assert await fleet.states(others) == {JobState.SUCCEEDED: 20}, "nothing holds them up"

    started = fleet.runs
    while clock.now < fleet.client.back_at:
        await fleet.second()
    assert await fleet.states(waiting) == {JobState.QUEUED: 200}
    assert fleet.client.tries[AWAY] < HALF_AN_HOUR / 20, "one job at a time, each half minute"
    looks = 200 * HALF_AN_HOUR / 900
    assert fleet.runs - started < looks + 3 * fleet.client.tries[AWAY], "the others lie still"

    fleet.client.pushed.clear()
    seconds = 0
    while len(fleet.client.pushed) < len(waiting):
        await fleet.second()
        seconds += 1
        assert seconds < 35 + 2 * 200 / MAX_UPLOADS
    assert await fleet.states(waiting) == {JobState.SUCCEEDED: 200}
    assert seconds >= 200 / MAX_UPLOADS - 2, "as many a second as the registry has room for"
    overtaken = sum(one > next_one for one, next_one in pairwise(fleet.client.pushed))
    assert overtaken <= 4, "in the order of enqueueing, but for one that tried or just looked"
    await fleet.second()
    assert await fleet.redis.keys("*:waiting") == []


async def test_jobs_that_waited_start_by_priority_and_then_in_order(
    fleet: Fleet, clock: RedisClock
) -> None:
    fleet.client.back_at = clock.now + 60
    ids = {}
    for priority in ("low", "normal", "high"):
        ids[priority] = await fleet.enqueue(AWAY, 10, name=priority, priority=priority)
        await fleet.second()
    for _ in range(120):
        await fleet.second()
    first, *others = fleet.client.pushed
    expected = [f"{AWAY}/{job_id}:1" for name in ("high", "normal", "low") for job_id in ids[name]]
    expected.remove(first)  # Which one tried the registry is as it may be.
    assert others == expected


async def test_jobs_give_up_with_the_error_of_their_registry(
    fleet: Fleet, clock: RedisClock
) -> None:
    fleet.client.back_at = clock.now + HALF_AN_HOUR
    ids = await fleet.enqueue(AWAY, 20, give_up_after=600)
    for _ in range(590):
        await fleet.second()
    assert await fleet.states(ids) == {JobState.QUEUED: 20}
    for _ in range(20):
        await fleet.second()
    assert await fleet.states(ids) == {JobState.FAILED: 20}
    status = await fleet.stores.jobs.status(ids[-1])
    assert (status.error, status.error_kind) == ("refused", "registry_unavailable")
    await fleet.second()
    assert await fleet.redis.keys("*:waiting") == []


@pytest.mark.parametrize(
    "error",
    [
        RegistryUnavailableError("refused"),
        RateLimitedError("its own quota is used up", status=429, retry_after=5),
    ],
)
async def test_one_job_that_its_registry_always_puts_off_holds_up_no_other(
    error: RegistryError, fleet: Fleet, clock: RedisClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.client.back_at = clock.now + 20
    fleet.client.error = error
    ids = await fleet.enqueue(AWAY, 3)
    push = fleet.client.push

    async def push_or_break(source: Path, references: Sequence[Reference], **rest: Any) -> Any:
        if references[0].repository == ids[0]:
            fleet.client.error.registry = AWAY
            raise fleet.client.error
        return await push(source, references, **rest)

    monkeypatch.setattr(fleet.client, "push", push_or_break)
    for _ in range(120):
        await fleet.second()
    assert await fleet.states(ids) == {JobState.QUEUED: 1, JobState.SUCCEEDED: 2}


async def test_jobs_that_nobody_wakes_look_for_themselves(fleet: Fleet, clock: RedisClock) -> None:
    """The list of waiting jobs was lost, or no worker leads."""
    fleet.client.back_at = clock.now + 60
    ids = await fleet.enqueue(AWAY, 3)
    await fleet.second()
    await fleet.redis.delete(KEYS.waited_for, KEYS.waiting(AWAY))
    clock.advance(1800)
    await fleet.second()
    assert await fleet.states(ids) == {JobState.SUCCEEDED: 3}


async def test_waiting_jobs_are_in_arq_s_queue(fleet: Fleet, clock: RedisClock) -> None:
    """So nobody takes them for lost."""
    fleet.client.back_at = clock.now + 60
    await fleet.enqueue(AWAY, 3)
    await fleet.second()
    assert await fleet.stores.queue.orphans(JobState.QUEUED, 0, 10) == (3, [])


async def test_jobs_that_are_over_are_struck_off_the_list(fleet: Fleet, clock: RedisClock) -> None:
    fleet.client.back_at = clock.now + 60
    first, second = await fleet.enqueue(AWAY, 2)
    await fleet.second()
    await fleet.redis.hset(KEYS.job(first), "state", "cancelled")  # By an older version.
    await fleet.redis.delete(KEYS.job(second))
    for _ in range(90):
        await fleet.second()
    assert await fleet.redis.keys("*:waiting") == []


async def test_a_registry_without_room_wakes_none(fleet: Fleet, clock: RedisClock) -> None:
    limits = RegistryLimits(Database(fleet.redis, KEYS), MAX_UPLOADS)
    for number in range(MAX_UPLOADS):
        await limits.take_slot(WELL, str(number), 3600)
    ids = await fleet.enqueue(WELL, 10)
    for _ in range(10):
        await fleet.second()
    assert fleet.runs == 10
    for number in range(3):
        await limits.give_slot_back(WELL, str(number))
    await fleet.second()
    assert await fleet.states(ids) == {JobState.QUEUED: 7, JobState.SUCCEEDED: 3}
