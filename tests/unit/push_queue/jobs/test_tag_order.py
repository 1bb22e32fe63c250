"""The job enqueued last has the tag in the end, whichever wrote last, hung or died."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any

import fakeredis
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from push_queue.jobs.tag_writes import TagWrite, TagWrites
from push_queue.models.assignments import Assignment, Turn, Wait
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState, JobStatus, Outcome
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from registry_api_v2_client import RegistryUnavailableError, TagTurn
from tests.support.assignments import TURN_SECONDS, succeed
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from tests.support.tag_registry import TagRegistry
from worker.errors import DeferError, JobLostError
from worker.redis_tag_order import RedisTagOrder
from worker.tag_repair import TagRepair

TAGS = ("localhost:15000/app:1", "localhost:15000/app:2")
ONE, TWO = TAGS

JOBS = {"job-0": TAGS, "job-1": [ONE], "job-2": [TWO, ONE], "job-3": [TWO]}
LAST = {ONE: "job-2", TWO: "job-3"}
ENOUGH = 8
"""Rounds in which everything that can continue ends."""


def digest_of(job_id: str) -> str:
    return f"sha256:{job_id}"


# Several workers, step by step


@dataclass(eq=False)
class Request:
    """A request on its way to the registry, whatever has happened to its sender."""

    tag: str
    digest: str
    arrived: bool = False


@dataclass(eq=False)
class Attempt:
    """A worker at one job; ``turn`` is the one that it believes it has."""

    assignment: Assignment
    left: list[str]
    turn: AbstractAsyncContextManager[TagTurn | None] | None = None
    held: TagTurn | None = None
    write: AbstractContextManager[None] | None = None
    request: Request | None = None

    @property
    def job_id(self) -> str:
        return self.assignment.job.id


class TagRace(RuleBasedStateMachine):
    """Jobs for the same tags at workers that stand still, lose their lease or connection, and die.

    A request that was sent arrives some time, also one whose sender knows nothing of it any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis = fakeredis.FakeAsyncRedis()
        self.keys = Keys("push")
        self.stores = Stores(self.redis, self.keys)
        self.writes = TagWrites(Database(self.redis, self.keys))
        self.registry = TagRegistry()
        self.attempts: list[Attempt] = []
        self.dead: list[Attempt] = []
        self.requests: list[Request] = []
        self.jobs = list(JOBS)
        for job_id, tags in JOBS.items():
            job = make_job(id=job_id, source="/a", targets=tags, max_attempts=99)
            self.run(self.stores.jobs.create(job))
        self.holder: dict[str, Attempt] = {}
        self.wrote: dict[str, set[str]] = {tag: set() for tag in TAGS}

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def writing(self, tag: str) -> bool:
        return bool(self.run(self.redis.exists(self.keys.tag_writer(tag))))

    def holds(self, attempt: Attempt) -> bool:
        """Whether the turn has not run out. One writer at a time, so any is this one's."""
        return attempt is self.holder.get(attempt.left[0]) and self.writing(attempt.left[0])

    # Steps

    @rule(job_id=st.sampled_from(sorted(JOBS)))
    def start(self, job_id: str) -> None:
        """Also a job that runs: its worker has lost the lease, and does not know yet."""
        self.start_it(job_id)

    def start_it(self, job_id: str) -> None:
        status = self.run(self.stores.jobs.status(job_id))
        assignment = self.run(self.stores.attempts.start(job_id, status.generation, "worker"))
        assert not isinstance(assignment, Wait)
        if assignment:
            self.attempts.append(Attempt(assignment, list(assignment.targets)))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        self.go_on(data.draw(st.sampled_from(self.attempts)))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        """In time or not."""
        self.deliver(data.draw(st.sampled_from(self.requests)))

    @rule(tag=st.sampled_from(TAGS))
    def turn_runs_out(self, tag: str) -> None:
        """Its worker, if it lives, stands still."""
        self.run(self.redis.delete(self.keys.tag_writer(tag)))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), again=st.booleans())
    def lose_connection(self, data: st.DataObject, again: bool) -> None:
        """The request is sent again, or given up."""
        attempt = data.draw(st.sampled_from(self.attempts))
        if not attempt.request:
            return
        self.end_request(attempt, RegistryUnavailableError("reset"))
        if again:
            self.send(attempt)
            return
        self.attempts.remove(attempt)
        self.leave_turn(attempt, RegistryUnavailableError("reset"))
        self.run(self.stores.attempts.retry(attempt.assignment, "reset", "registry_unavailable", 0))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        self.attempts.remove(attempt)
        self.dead.append(attempt)

    @rule(job_id=st.sampled_from(sorted(JOBS)))
    def enqueue_again(self, job_id: str) -> None:
        self.run(self.stores.jobs.requeue(job_id))

    @rule()
    def repair(self) -> None:
        """It never brings an older image back."""
        repair = TagRepair(
            self.writes, Pauses(self.stores.database), self.registry.client, TURN_SECONDS
        )
        shown = dict(self.registry.tags)
        for tag in self.run(self.writes.unsettled()):
            self.run(repair.settle(tag))
        for tag, digest in shown.items():
            assert self.registry.tags[tag] >= digest

    # What they are made of

    def go_on(self, attempt: Attempt) -> None:
        """Take the next turn, send, end the turn once there is an answer, or end the attempt."""
        try:
            if attempt.request:
                self.hear(attempt)
            elif attempt.turn:
                self.send(attempt)
            elif attempt.left:
                self.take_turn(attempt)
            else:
                self.attempts.remove(attempt)
                self.run(
                    self.stores.attempts.succeed(attempt.assignment, digest_of(attempt.job_id))
                )
        except JobLostError:
            self.attempts.remove(attempt)
        except DeferError:
            self.attempts.remove(attempt)
            self.run(self.stores.attempts.defer(attempt.assignment, "late", 0))

    def take_turn(self, attempt: Attempt) -> None:
        tag = attempt.left[0]
        if self.writing(tag):
            return  # It would wait.
        turn = RedisTagOrder(self.stores.turns, attempt.assignment, TURN_SECONDS).turn(
            tag, digest_of(attempt.job_id)
        )
        attempt.held = self.run(turn.__aenter__())
        if attempt.held:
            attempt.turn = turn
            self.holder[tag] = attempt
        else:
            assert self.run(turn.__aexit__(None, None, None)) is False
            attempt.left.pop(0)

    def send(self, attempt: Attempt) -> None:
        assert attempt.held
        attempt.write = attempt.held.write()
        attempt.write.__enter__()
        attempt.request = Request(attempt.left[0], digest_of(attempt.job_id))
        self.requests.append(attempt.request)

    def deliver(self, request: Request) -> None:
        self.requests.remove(request)
        self.registry.tags[request.tag] = request.digest
        request.arrived = True

    def hear(self, attempt: Attempt) -> None:
        assert attempt.request
        if not attempt.request.arrived:
            return
        self.end_request(attempt)
        if self.holds(attempt):
            self.wrote[attempt.left[0]].add(attempt.job_id)
        self.leave_turn(attempt)
        attempt.left.pop(0)

    def end_request(self, attempt: Attempt, error: Exception | None = None) -> None:
        assert attempt.write
        attempt.request = None
        assert not attempt.write.__exit__(type(error) if error else None, error, None)

    def leave_turn(self, attempt: Attempt, error: Exception | None = None) -> None:
        assert attempt.turn
        turn, attempt.turn = attempt.turn, None
        assert not self.run(turn.__aexit__(type(error) if error else None, error, None))

    @invariant()
    def results_are_true(self) -> None:
        for job_id in self.jobs:
            for result in self.run(self.stores.jobs.status(job_id)).results:
                if result.outcome == "superseded":
                    assert any(other > job_id for other in self.wrote[result.target])
                else:
                    assert result.digest == digest_of(job_id)
                    assert job_id in self.wrote[result.target]

    def teardown(self) -> None:
        """Let everything end, and check what is left."""
        self.all_go_on()
        for tag in TAGS:
            self.turn_runs_out(tag)
        for _ in range(ENOUGH):
            for job_id in JOBS:
                self.start_it(job_id)
            self.all_go_on()
        for job_id in JOBS:
            self.look_at(self.run(self.stores.jobs.status(job_id)))
        for request in list(self.requests):
            self.deliver(request)
        self.repair()
        for tag in TAGS:
            assert self.registry.tags[tag] == digest_of(LAST[tag])
        self.runner.close()

    def all_go_on(self) -> None:
        for _ in range(2 * ENOUGH):
            for tag in TAGS:
                if self.holder.get(tag) in self.dead:
                    self.turn_runs_out(tag)
            for attempt in list(self.attempts):
                if attempt.request and not attempt.request.arrived:
                    self.deliver(attempt.request)
                self.go_on(attempt)
        assert not self.attempts

    def look_at(self, status: JobStatus) -> None:
        outcomes = {result.outcome for result in status.results}
        assert len(status.results) == len(status.targets)
        left_alone = outcomes == {"superseded"}
        assert status.state is (JobState.SUPERSEDED if left_alone else JobState.SUCCEEDED)


TestTagRace = TagRace.TestCase
TestTagRace.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


# One thing at a time


async def enqueue(stores: Stores, job_id: str, *targets: str, **fields: object) -> None:
    await stores.jobs.create(make_job(id=job_id, source="/a", targets=targets or (ONE,), **fields))


async def start(stores: Stores, job_id: str, generation: int = 0) -> Assignment:
    assignment = await stores.attempts.start(job_id, generation, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def results(stores: Stores, job_id: str) -> dict[str, str]:
    return {item.target: item.outcome for item in (await stores.jobs.status(job_id)).results}


async def test_a_job_whose_tags_are_all_newer_is_not_started(stores: Stores) -> None:
    await enqueue(stores, "old", ONE, TWO)
    await enqueue(stores, "new", ONE, TWO)
    await succeed(stores, await start(stores, "new"), "sha256:new")
    assert await stores.attempts.start("old", 0, "worker") is None
    status = await stores.jobs.status("old")
    assert (status.state, status.attempt) == (JobState.SUPERSEDED, 0)
    assert status.finished_at is not None
    assert await results(stores, "old") == {ONE: "superseded", TWO: "superseded"}
    assert await stores.jobs.attempts("old") == []


async def test_a_job_is_started_for_the_tags_that_are_left_to_it(stores: Stores) -> None:
    await enqueue(stores, "old", ONE, TWO)
    await enqueue(stores, "new", TWO)
    await succeed(stores, await start(stores, "new"), "sha256:new")
    assignment = await start(stores, "old")
    assert assignment.targets == (ONE,)
    assert await succeed(stores, assignment, "sha256:old") is JobState.SUCCEEDED
    assert await results(stores, "old") == {ONE: "pushed", TWO: "superseded"}


async def test_a_job_overtaken_at_all_its_tags_is_superseded(stores: Stores) -> None:
    await enqueue(stores, "old", ONE, TWO)
    await enqueue(stores, "new", ONE, TWO)
    old, new = await start(stores, "old"), await start(stores, "new")
    await succeed(stores, new, "sha256:new")
    assert await succeed(stores, old, "sha256:old") is JobState.SUPERSEDED
    (attempt,) = await stores.jobs.attempts("old")
    assert attempt.outcome is Outcome.SUPERSEDED


@pytest.mark.parametrize("started", [False, True])
async def test_a_superseded_job_keeps_no_error_of_an_earlier_attempt(
    started: bool, stores: Stores
) -> None:
    await enqueue(stores, "old", ONE)
    await enqueue(stores, "new", ONE)
    await stores.attempts.retry(await start(stores, "old"), "500", "registry_unavailable", 0)
    old = await start(stores, "old") if started else None
    await succeed(stores, await start(stores, "new"), "sha256:new")
    if old:
        await succeed(stores, old, "sha256:old")
    else:
        assert await stores.attempts.start("old", 0, "worker") is None
    status = await stores.jobs.status("old")
    assert (status.state, status.error, status.error_kind) == (JobState.SUPERSEDED, None, None)


async def test_one_that_is_not_ordered_writes_all_the_same(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    await enqueue(stores, "old", ordered=False)
    await enqueue(stores, "between")
    await enqueue(stores, "new")
    await succeed(stores, await start(stores, "new"), "sha256:new")
    assert await succeed(stores, await start(stores, "old"), "sha256:old") is JobState.SUCCEEDED
    assert await redis.hget(keys.tag(ONE), "digest") == b"sha256:old"
    assert await stores.attempts.start("between", 0, "worker") is None, (
        "the newest writer is not forgotten"
    )


async def test_a_job_enqueued_again_keeps_its_place(stores: Stores) -> None:
    await enqueue(stores, "old")
    await stores.attempts.fail(await start(stores, "old"), "gone", "name_unknown")
    await enqueue(stores, "new")
    await succeed(stores, await start(stores, "new"), "sha256:new")
    await stores.jobs.requeue("old")
    assert await stores.attempts.start("old", 1, "worker") is None
    assert (await stores.jobs.status("old")).state is JobState.SUPERSEDED
    await stores.jobs.requeue("new")
    again = await start(stores, "new", generation=1)
    assert await succeed(stores, again, "sha256:new") is JobState.SUCCEEDED


async def test_one_writes_at_a_time(stores: Stores, redis: Redis, keys: Keys) -> None:
    await enqueue(stores, "old")
    await enqueue(stores, "new")
    old, new = await start(stores, "old"), await start(stores, "new")
    olds = TagWrite(ONE, "sha256:old", old.sequence)
    news = TagWrite(ONE, "sha256:new", new.sequence)
    assert await stores.turns.take(old, olds, TURN_SECONDS) is Turn.WRITE
    assert await stores.turns.take(new, news, TURN_SECONDS) is Turn.WAIT
    assert 0 < await redis.pttl(keys.tag_writer(ONE)) <= TURN_SECONDS * 1000
    assert await stores.turns.end(old, olds, written=False)
    assert await stores.turns.take(new, news, TURN_SECONDS) is Turn.WRITE
    assert await results(stores, "old") == {}, "given up without writing"


async def test_the_end_of_a_turn_may_be_sent_twice(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    await enqueue(stores, "job")
    assignment = await start(stores, "job")
    write = TagWrite(ONE, "sha256:job", assignment.sequence)
    await stores.turns.take(assignment, write, TURN_SECONDS)
    for _ in range(2):
        assert await stores.turns.end(assignment, write, written=True)
    assert await redis.hget(keys.tag(ONE), "digest") == b"sha256:job"
    assert await results(stores, "job") == {ONE: "pushed"}


async def test_a_turn_is_renewed_until_it_has_run_out(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    await enqueue(stores, "job")
    assignment = await start(stores, "job")
    write = TagWrite(ONE, "sha256:job", assignment.sequence)
    await stores.turns.take(assignment, write, 1)
    assert await stores.turns.renew(write, TURN_SECONDS)
    assert await redis.pttl(keys.tag_writer(ONE)) > 1000
    await redis.delete(keys.tag_writer(ONE))
    assert not await stores.turns.renew(write, TURN_SECONDS)
    assert not await stores.turns.end(assignment, write, written=True)
    assert await results(stores, "job") == {}


async def test_a_worker_that_lost_its_job_gets_no_turn(stores: Stores) -> None:
    await enqueue(stores, "job")
    lost = await start(stores, "job")
    write = TagWrite(ONE, "sha256:job", lost.sequence)
    await start(stores, "job")
    assert await stores.turns.take(lost, write, TURN_SECONDS) is Turn.LOST
    await enqueue(stores, "new")
    await succeed(stores, await start(stores, "new"), "sha256:new")
    assert await stores.turns.take(lost, write, TURN_SECONDS) is Turn.SUPERSEDED
    assert await results(stores, "job") == {}, "which is for its new worker to find out"


async def test_the_writer_of_a_tag_is_forgotten_some_day(
    stores: Stores, redis: Redis, keys: Keys
) -> None:
    await enqueue(stores, "job")
    await succeed(stores, await start(stores, "job"), "sha256:job")
    assert await redis.ttl(keys.tag(ONE)) > 7 * 24 * 3600


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.CANCELLED])
async def test_what_a_job_that_runs_no_longer_has_written_counts(
    state: JobState, stores: Stores
) -> None:
    await enqueue(stores, "old")
    await enqueue(stores, "new")
    assignment = await start(stores, "new")
    write = TagWrite(ONE, "sha256:new", assignment.sequence)
    await stores.turns.take(assignment, write, TURN_SECONDS)
    end: Callable[[Assignment], Any] = (
        stores.attempts.release if state is JobState.QUEUED else stores.attempts.mark_cancelled
    )
    assert await end(assignment) is state
    assert await stores.turns.end(assignment, write, written=True)
    assert await results(stores, "new") == {}
    assert await stores.attempts.start("old", 0, "worker") is None
    assert (await stores.jobs.status("old")).state is JobState.SUPERSEDED
