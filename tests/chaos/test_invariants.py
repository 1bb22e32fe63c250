"""The invariants of a chaos run: each finds the violation that it is for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from producer import Attempt, JobState, JobStatus, TargetResult
from push_queue.models.job_status import Outcome
from tests.chaos.archives import JobImage
from tests.chaos.evidence import Evidence
from tests.chaos.fleet import WorkerProcess
from tests.chaos.invariants import violations
from tests.chaos.network import TagWrite
from tests.chaos.plan import Plan, PlannedJob
from tests.chaos.read_back import HeldImage

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PLAN = Plan(seed=1, count=6)
FIRST, LAST = PLAN.jobs[0], PLAN.jobs[3]
"""Of the same repository."""
KEPT = next(job for job in PLAN.jobs if not job.cleanup)
CLEANED = next(job for job in reversed(PLAN.jobs) if job.cleanup)
SHARING = next(job for job in PLAN.jobs if job.source != job.number)


def digest_of(job_id: str) -> str:
    return f"sha256:{job_id}"


def image_of(job_id: str) -> JobImage:
    return JobImage(Path(f"/{job_id}.tar"), f"config of {job_id}")


def held(job_id: str) -> HeldImage:
    return HeldImage(digest_of(job_id), f"config of {job_id}", (), 1000)


def attempt(worker: str, start: float, end: float, outcome: Outcome) -> Attempt:
    return Attempt(
        number=1,
        worker=worker,
        started_at=START + start * SECOND,
        finished_at=START + end * SECOND,
        outcome=outcome,
    )


def good_evidence() -> Evidence:
    """All jobs were pushed in their order, each at the first attempt."""
    fleet: Any = SimpleNamespace(name_of=str, complaints=[], all=[])
    proxy: Any = SimpleNamespace(tag_writes=[])
    registry: Any = None
    evidence = Evidence(
        PLAN,
        {job.id: image_of(job.id) for job in PLAN.jobs},
        next_builds={CLEANED.id: JobImage(Path("/next.tar"), "config of the next build")},
        fleet=fleet,
        proxy=proxy,
        registry=registry,
    )
    evidence.known_ids = {job.id for job in PLAN.jobs}
    evidence.sources = {image.path for image in evidence.images.values()}
    for job in PLAN.jobs:
        evidence.statuses[job.id] = JobStatus(
            id=job.id,
            source="/image.tar",
            targets=job.tags,
            state=JobState.SUCCEEDED,
            sequence=job.number,
            digest=digest_of(job.id),
            results=tuple(
                TargetResult(target=f"host/{tag}", outcome="pushed", digest=digest_of(job.id))
                for tag in job.tags
            ),
            enqueued_at=START,
            finished_at=START + 9 * SECOND,
        )
        evidence.attempts[job.id] = [attempt("one", 0, 9, Outcome.SUCCEEDED)]
        evidence.tags |= dict.fromkeys(job.tags, held(job.id))
        evidence.proxy.tag_writes.append(TagWrite(START + SECOND, "one", job.own_tag))
    return evidence


def change(evidence: Evidence, job_id: str, **fields: Any) -> None:
    evidence.statuses[job_id] = evidence.statuses[job_id].model_copy(update=fields)


def test_there_is_nothing_wrong_with_a_good_run() -> None:
    assert violations(good_evidence()) == []


def test_a_tar_may_go_once_it_is_pushed() -> None:
    evidence = good_evidence()
    delete_a_tar(evidence, CLEANED)
    assert violations(evidence) == []


def test_who_comes_when_a_shared_tar_is_gone_may_fail() -> None:
    evidence = good_evidence()
    delete_a_tar(evidence, SHARING)
    change(
        evidence,
        SHARING.id,
        state=JobState.FAILED,
        error_kind="source_unreadable",
        enqueued_at=START + 10 * SECOND,
        finished_at=START + 11 * SECOND,
    )
    assert violations(evidence) == []


def lose_a_job(evidence: Evidence) -> None:
    del evidence.statuses[FIRST.id]


def leave_a_job_running(evidence: Evidence) -> None:
    change(evidence, FIRST.id, state=JobState.RUNNING)


def fail_a_job(evidence: Evidence) -> None:
    change(evidence, FIRST.id, state=JobState.FAILED, error_kind="worker_lost")


def run_a_job_twice_at_once(evidence: Evidence) -> None:
    evidence.attempts[FIRST.id].append(attempt("two", 5, 10, Outcome.SUCCEEDED))


def put_the_wrong_image(evidence: Evidence) -> None:
    evidence.tags[FIRST.own_tag] = held(LAST.id)


def lose_a_layer(evidence: Evidence) -> None:
    evidence.tags[FIRST.own_tag] = HeldImage(
        digest_of(FIRST.id), f"config of {FIRST.id}", ("x",), 1
    )


def let_an_older_job_win(evidence: Evidence) -> None:
    evidence.tags[LAST.contended_tag] = held(FIRST.id)


def supersede_the_last(evidence: Evidence) -> None:
    results = (TargetResult(target=f"host/{LAST.contended_tag}", outcome="superseded"),)
    change(evidence, LAST.id, results=results)
    evidence.tags[LAST.contended_tag] = held(FIRST.id)


def write_while_another_has_the_job(evidence: Evidence) -> None:
    evidence.proxy.tag_writes.append(TagWrite(START + SECOND, "two", FIRST.own_tag))


def write_after_the_job_was_lost(evidence: Evidence) -> None:
    evidence.attempts[FIRST.id].insert(0, attempt("two", -5, 0, Outcome.LOST))
    evidence.proxy.tag_writes.append(TagWrite(START + 20 * SECOND, "two", FIRST.own_tag))


def delete_a_tar(evidence: Evidence, job: PlannedJob) -> None:
    evidence.sources.remove(evidence.images[job.id].path)


def delete_a_tar_that_is_kept(evidence: Evidence) -> None:
    delete_a_tar(evidence, KEPT)


def delete_the_tar_of_a_cancelled_job(evidence: Evidence) -> None:
    delete_a_tar(evidence, CLEANED)
    change(evidence, CLEANED.id, state=JobState.CANCELLED)
    evidence.cancelled.add(CLEANED.id)


def delete_the_next_build(evidence: Evidence) -> None:
    delete_a_tar(evidence, CLEANED)
    evidence.replaced.add(CLEANED.id)


def leave_a_key(evidence: Evidence) -> None:
    evidence.leftovers.append("arq:in-progress:1")


def end_a_worker(evidence: Evidence) -> None:
    evidence.fleet.complaints.append(("worker-1", "ended by itself"))


def log_a_traceback(evidence: Evidence) -> None:
    process: Any = SimpleNamespace(log="unexpected error\nTraceback (most recent call last):\n")
    evidence.fleet.all.append(WorkerProcess("worker-1", process))


def test_a_tar_that_was_replaced_may_fail_its_job() -> None:
    evidence = good_evidence()
    change(evidence, CLEANED.id, state=JobState.FAILED, error_kind="source_changed")
    assert "outcome" in {violation.rule for violation in violations(evidence)}
    evidence.replaced.add(CLEANED.id)
    assert "outcome" not in {violation.rule for violation in violations(evidence)}


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lose_a_job, "lost"),
        (leave_a_job_running, "stuck"),
        (fail_a_job, "outcome"),
        (run_a_job_twice_at_once, "attempts"),
        (put_the_wrong_image, "tag"),
        (lose_a_layer, "tag"),
        (let_an_older_job_win, "tag"),
        (supersede_the_last, "tag"),
        (write_while_another_has_the_job, "fenced"),
        (write_after_the_job_was_lost, "fenced"),
        (delete_a_tar_that_is_kept, "deleted wrongly"),
        (delete_the_tar_of_a_cancelled_job, "deleted wrongly"),
        (delete_the_next_build, "deleted wrongly"),
        (leave_a_key, "left over"),
        (end_a_worker, "worker"),
        (log_a_traceback, "worker"),
    ],
)
def test_what_is_wrong_is_found(spoil: Callable[[Evidence], None], rule: str) -> None:
    evidence = good_evidence()
    spoil(evidence)
    assert {violation.rule for violation in violations(evidence)} == {rule}
