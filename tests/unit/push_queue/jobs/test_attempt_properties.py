"""Whatever workers and users do in whatever order, a job stays consistent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import fakeredis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from push_queue.models.assignments import Assignment, Signal
from push_queue.models.job import make_job
from push_queue.models.job_status import FINAL_STATES, JobState, Outcome
from push_queue.redis.keys import Keys
from tests.support.assignments import succeed
from tests.support.stores import Stores

MAX_ATTEMPTS = 3
LEGAL = {
    JobState.QUEUED: {JobState.RUNNING, JobState.CANCELLED},
    JobState.RETRYING: {JobState.RUNNING, JobState.CANCELLED},
    JobState.RUNNING: set(JobState) - {JobState.RUNNING},
    JobState.SUCCEEDED: {JobState.QUEUED},
    JobState.FAILED: {JobState.QUEUED},
    JobState.CANCELLED: {JobState.QUEUED},
    JobState.SUPERSEDED: {JobState.QUEUED},
}
ENDS: dict[Outcome, Callable[[Stores, Assignment], Awaitable[object]]] = {
    Outcome.SUCCEEDED: lambda stores, assignment: succeed(stores, assignment, "sha256:d"),
    Outcome.FAILED: lambda stores, assignment: stores.attempts.fail(assignment, "bad", "denied"),
    Outcome.RELEASED: lambda stores, assignment: stores.attempts.release(assignment),
    Outcome.CANCELLED: lambda stores, assignment: stores.attempts.mark_cancelled(assignment),
}


class OneJob(RuleBasedStateMachine):
    """Several workers, some of them believed dead, and an impatient user."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis = fakeredis.FakeAsyncRedis()
        self.keys = Keys("push")
        self.stores = Stores(self.redis, self.keys)
        self.assignments: list[Assignment] = []
        job = make_job(
            id="job", source="/app.tar", targets=["localhost/app:1"], max_attempts=MAX_ATTEMPTS
        )
        self.before, _ = self.run(self.stores.jobs.create(job))

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.redis.aclose())
        self.runner.close()

    @rule(generation_back=st.integers(0, 1))
    def start(self, generation_back: int) -> None:
        status = self.run(self.stores.jobs.status("job"))
        generation = status.generation - generation_back
        assignment = self.run(self.stores.attempts.start("job", generation, "worker"))
        if generation_back or status.state in FINAL_STATES:
            assert assignment is None
        if isinstance(assignment, Assignment):
            assert all(assignment.fence > older.fence for older in self.assignments)
            self.assignments.append(assignment)

    @precondition(lambda self: self.assignments)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(ENDS)))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        assignment = data.draw(st.sampled_from(self.assignments))
        current = assignment is self.assignments[-1] and self.before.state is JobState.RUNNING
        done = self.run(ENDS[outcome](self.stores, assignment))
        assert done or not current, "the holder of the job was refused"
        if assignment is not self.assignments[-1]:
            assert not done, "a worker that lost its lease was heard"

    @precondition(lambda self: self.assignments)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        assignment = data.draw(st.sampled_from(self.assignments))
        if assignment.attempt < MAX_ATTEMPTS:
            self.run(self.stores.attempts.retry(assignment, "refused", "registry_unavailable", 1))

    @precondition(lambda self: self.assignments)
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        assignment = data.draw(st.sampled_from(self.assignments))
        numbers: dict[str, Any] = {
            "bytes_done": 1,
            "bytes_total": 2,
            "blobs_done": 0,
            "blobs_total": 1,
        }
        signals = {
            self.run(self.stores.attempts.heartbeat(assignment)),
            self.run(self.stores.attempts.progress(assignment, **numbers)),
        }
        assert len(signals) == 1
        holds = assignment is self.assignments[-1] and self.before.state is JobState.RUNNING
        assert (signals == {Signal.LOST}) is not holds

    @rule()
    def cancel(self) -> None:
        self.run(self.stores.jobs.cancel("job"))

    @rule()
    def requeue(self) -> None:
        self.run(self.stores.jobs.requeue("job"))

    @invariant()
    def consistent(self) -> None:
        status = self.run(self.stores.jobs.status("job"))
        if status.state is not self.before.state:
            assert status.state in LEGAL[self.before.state]
        assert status.attempt <= MAX_ATTEMPTS
        assert status.generation >= self.before.generation
        assert (status.finished_at is not None) is status.state.final
        assert status.cancel_requested <= (status.state is JobState.RUNNING)
        self.before = status
        counts = self.run(self.stores.jobs.counts())
        assert counts == {state: int(state is status.state) for state in JobState}
        expires = self.run(self.redis.ttl(self.keys.job("job"))) > 0
        assert expires is status.state.final


TestOneJob = OneJob.TestCase
TestOneJob.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
