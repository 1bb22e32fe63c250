"""What must hold after a chaos run, whatever has struck."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, pairwise

from producer import JobState, JobStatus
from push_queue.models.job_status import Outcome
from tests.chaos.evidence import Evidence
from tests.chaos.plan import PlannedJob

RULE_NAMES = (
    "lost",
    "stuck",
    "outcome",
    "attempts",
    "tag",
    "fenced",
    "deleted wrongly",
    "left over",
    "worker",
)

PUSHED = frozenset({JobState.SUCCEEDED, JobState.SUPERSEDED})

CLOCK = timedelta(milliseconds=5)
"""Timestamps are rounded."""


@dataclass(frozen=True)
class Violation:
    """Something that went wrong, and with which job, if with one."""

    rule: str
    text: str
    job_id: str | None = None
    worker: str | None = None


Rule = Callable[[Evidence], Iterator[Violation]]


def no_job_is_lost(evidence: Evidence) -> Iterator[Violation]:
    for job in evidence.plan.jobs:
        if job.id not in evidence.statuses:
            yield Violation("lost", "unknown", job.id)
        elif job.id not in evidence.known_ids:
            yield Violation("lost", "not listed", job.id)
    for stranger in evidence.known_ids - {job.id for job in evidence.plan.jobs}:
        yield Violation("lost", "listed, but nobody enqueued it", stranger)


def every_job_ends_as_it_should(evidence: Evidence) -> Iterator[Violation]:
    if evidence.timed_out:
        yield Violation("stuck", f"not over after {evidence.seconds:.0f} s")
    for job, status in found(evidence):
        if not status.state.final:
            yield Violation("stuck", f"still {status.state}", job.id)
        elif status.state not in allowed_states(evidence, job):
            yield Violation("outcome", f"{status.state}: {status.error}", job.id)
        elif status.state is JobState.FAILED and status.error_kind not in errors(evidence, job):
            yield Violation("outcome", f"failed with {status.error_kind}", job.id)


def every_attempt_is_told(evidence: Evidence) -> Iterator[Violation]:
    for job, status in found(evidence):
        attempts = evidence.attempts[job.id]
        # A job that was postponed after it had written its tags has used up none.
        if status.state is JobState.SUCCEEDED and status.attempt and not attempts:
            yield Violation("attempts", "succeeded without an attempt", job.id)
        if any(one.finished_at > two.started_at + CLOCK for one, two in pairwise(attempts)):
            yield Violation("attempts", "two attempts overlap", job.id)


def own_tags_hold_their_image(evidence: Evidence) -> Iterator[Violation]:
    for job, status in found(evidence):
        if status.state is not JobState.SUCCEEDED:
            continue
        held = evidence.tags[job.own_tag]
        if held is None:
            yield Violation("tag", f"{job.own_tag} is not there", job.id)
        elif held.digest != status.digest or held.config_digest not in pushable(evidence, job.id):
            yield Violation("tag", f"{job.own_tag} holds another image", job.id)
        elif held.missing_blobs:
            yield Violation("tag", f"{job.own_tag} lacks {held.missing_blobs}", job.id)


def contended_tags_hold_the_last_enqueued(evidence: Evidence) -> Iterator[Violation]:
    """The tag has the image of the last job that pushed it; superseded jobs are older.

    A job may be cancelled when it has written the tag already: then the tag may hold its image.
    """
    by_tag = sorted(found(evidence), key=lambda pair: pair[0].contended_tag)
    for tag, group in groupby(by_tag, key=lambda pair: pair[0].contended_tag):
        contenders = {status.id: status for _, status in group}
        held = evidence.tags[tag]
        job_of = {config: job_id for job_id in contenders for config in pushable(evidence, job_id)}
        holder = contenders.get(job_of.get(held.config_digest, "")) if held else None
        last = max(
            (status for status in contenders.values() if result(status, tag) == "pushed"),
            key=lambda status: status.sequence,
            default=None,
        )
        if last and holder is None:
            yield Violation("tag", f"{tag} holds no image of theirs", last.id)
        elif last and holder and holder.id != last.id and not written_in_vain(holder, last):
            yield Violation("tag", f"{tag} holds the image of {holder.id}", last.id)
        for status in contenders.values():
            overtaken = holder and status.sequence < holder.sequence
            if result(status, tag) == "superseded" and not overtaken:
                yield Violation("tag", f"{tag}: superseded by nobody", status.id)


def written_in_vain(holder: JobStatus, last: JobStatus) -> bool:
    return holder.sequence > last.sequence and holder.state is JobState.CANCELLED


def no_fenced_worker_pushes(evidence: Evidence) -> Iterator[Violation]:
    """No worker writes the own tag of a job that another worker has, or that it has lost."""
    job_of = {job.own_tag: job.id for job in evidence.plan.jobs}
    for write in evidence.proxy.tag_writes:
        job_id = job_of.get(write.tag, "")
        holders, losers = set(), set()
        for attempt in evidence.attempts.get(job_id, ()):
            worker = evidence.fleet.name_of(attempt.worker)
            if attempt.started_at - CLOCK < write.at < attempt.finished_at + CLOCK:
                holders.add(worker)
            elif attempt.outcome is Outcome.LOST and attempt.finished_at < write.at:
                losers.add(worker)
        if write.worker not in holders and (holders or write.worker in losers):
            at = write.at.isoformat(timespec="milliseconds")
            yield Violation("fenced", f"{write.worker} wrote {write.tag} at {at}", job_id)


def nothing_is_deleted_wrongly(evidence: Evidence) -> Iterator[Violation]:
    for job, status in found(evidence):
        tar = evidence.images[job.id].path
        if job.broken or tar in evidence.sources or came_too_late(evidence, job):
            continue
        if reason := reason_to_keep(evidence, job, status):
            yield Violation("deleted wrongly", f"{tar.name}, {reason}", job.id)


def reason_to_keep(evidence: Evidence, job: PlannedJob, status: JobStatus) -> str | None:
    """Why the job's tar must still be there, if it must."""
    if not job.cleanup:
        return "which nobody wanted to be deleted"
    if not status.state.final:
        return "before the job was over"
    ends = [
        (other.finished_at, other.state)
        for named, other in found(evidence)
        if named.source == job.source and other.finished_at and not came_too_late(evidence, named)
    ]
    if max(ends)[1] not in PUSHED:
        return "which the last job that names it has not pushed"
    next_builds = configs_of_next_builds(evidence, job)
    if next_builds and pushed_config(evidence, job) not in next_builds:
        return "which is the next build's"
    return None


def nothing_is_left_over(evidence: Evidence) -> Iterator[Violation]:
    for key in evidence.leftovers:
        yield Violation("left over", key)


def workers_do_as_told(evidence: Evidence) -> Iterator[Violation]:
    for worker, complaint in evidence.fleet.complaints:
        yield Violation("worker", f"{worker} {complaint}", worker=worker)


def no_worker_meets_the_unexpected(evidence: Evidence) -> Iterator[Violation]:
    for worker in evidence.fleet.all:
        if "Traceback (" in worker.process.log:
            yield Violation("worker", f"{worker.name} logged a traceback", worker=worker.name)


RULES: tuple[Rule, ...] = (
    no_job_is_lost,
    every_job_ends_as_it_should,
    every_attempt_is_told,
    own_tags_hold_their_image,
    contended_tags_hold_the_last_enqueued,
    no_fenced_worker_pushes,
    nothing_is_deleted_wrongly,
    nothing_is_left_over,
    workers_do_as_told,
    no_worker_meets_the_unexpected,
)


def violations(evidence: Evidence) -> list[Violation]:
    return [violation for rule in RULES for violation in rule(evidence)]


def found(evidence: Evidence) -> Iterator[tuple[PlannedJob, JobStatus]]:
    for job in evidence.plan.jobs:
        if status := evidence.statuses.get(job.id):
            yield job, status


def allowed_states(evidence: Evidence, job: PlannedJob) -> set[JobState]:
    allowed = {JobState.FAILED} if errors(evidence, job) else set()
    if not lost_tar(evidence, job):
        allowed.add(JobState.SUCCEEDED)
    if job.id in evidence.cancelled:
        allowed.add(JobState.CANCELLED)
    return allowed


def errors(evidence: Evidence, job: PlannedJob) -> set[str]:
    """The kinds of error that the job may fail with."""
    kinds = {"source_unreadable"} if lost_tar(evidence, job) else set()
    # Between two of its attempts.
    return kinds | ({"source_changed"} if configs_of_next_builds(evidence, job) else set())


def lost_tar(evidence: Evidence, job: PlannedJob) -> bool:
    return job.broken or came_too_late(evidence, job)


def came_too_late(evidence: Evidence, job: PlannedJob) -> bool:
    """Whether the job was enqueued when the one whose tar it shares had pushed and deleted it."""
    lender = evidence.statuses.get(evidence.plan.jobs[job.source].id)
    status = evidence.statuses.get(job.id)
    if job.source == job.number or not lender or not status or lender.state not in PUSHED:
        return False
    return lender.finished_at is not None and lender.finished_at < status.enqueued_at


def pushable(evidence: Evidence, job_id: str) -> set[str]:
    """Configs of the images that the job may have pushed."""
    job = next(job for job in evidence.plan.jobs if job.id == job_id)
    return {evidence.images[job_id].config_digest, *configs_of_next_builds(evidence, job)}


def configs_of_next_builds(evidence: Evidence, job: PlannedJob) -> set[str]:
    """Of the images that may have replaced the job's tar, whichever job it was replaced for."""
    return {
        evidence.next_builds[other.id].config_digest
        for other in evidence.plan.jobs
        if other.source == job.source and other.id in evidence.replaced
    }


def pushed_config(evidence: Evidence, job: PlannedJob) -> str | None:
    held = evidence.tags[job.own_tag]
    return held.config_digest if held else None


def result(status: JobStatus, tag: str) -> str | None:
    """What the job says of the tag: `pushed`, `superseded`, or nothing."""
    results = status.results if status.state is JobState.SUCCEEDED else ()
    return next((one.outcome for one in results if one.target.endswith(f"/{tag}")), None)
