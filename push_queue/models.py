"""A job, and what becomes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    StringConstraints,
    ValidationError,
    field_validator,
)

from push_queue.errors import InvalidJobError, summarize
from push_queue.ids import JOB_ID_PATTERN

JobId = Annotated[str, StringConstraints(pattern=JOB_ID_PATTERN)]
Target = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
LabelValue = Annotated[str, StringConstraints(max_length=1024)]
Platform = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_]+/[a-z0-9_-]+(/[a-z0-9]+)?$", max_length=64)
]
MOST_PATIENCE_SECONDS = 365 * 24 * 3600
Moment = Annotated[AwareDatetime, Field(ge=datetime.fromtimestamp(0, UTC))]
MostAttempts = Annotated[int, Field(ge=1, le=100)]
Compression = Literal["gzip", "zstd", "keep"]
Priority = Literal["high", "normal", "low"]


class JobState(StrEnum):
    """How far a job is.

    ``queued → running → succeeded | superseded | failed | cancelled``, and
    ``running → retrying → running``. A superseded job came too late: newer jobs have written all
    of its tags.
    """

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def final(self) -> bool:
        """Whether the job stays as it is unless someone enqueues it again."""
        return self in FINAL_STATES


FINAL_STATES = (
    JobState.SUCCEEDED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.SUPERSEDED,
)


class Signal(StrEnum):
    """What a worker hears when it reports on the job that it runs."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    """The user asked for it: stop, then ``mark_cancelled``."""
    LOST = "lost"
    """The job is no longer this worker's: stop and write nothing more."""


class Outcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    RELEASED = "released"
    """Handed back by a worker that was stopped; uses up no attempt."""
    DEFERRED = "deferred"
    """Put off because a registry is away or wants a pause; uses up no attempt."""
    LOST = "lost"
    """The worker went away without a word."""


class PushRequest(BaseModel):
    """What may be said of a push. Holds no credentials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: JobId | None = None
    """The caller's own; the same job enqueued again is the one that is there."""
    source: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Absolute path of the archive, as the worker sees it."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=64)]
    """``registry/repository:tag``, each once."""
    image: Target | None = None
    """Which image of an archive that holds several: its tag or digest there."""
    platform: Platform | None = None
    """``linux/arm64``: the image for it alone; without it an index goes with all its platforms."""
    compression: Compression = "gzip"
    priority: Priority = "normal"
    max_attempts: MostAttempts | None = None
    """Tries before the job fails; the setting if not given."""
    give_up_after: Annotated[int, Field(ge=1, le=MOST_PATIENCE_SECONDS)] | None = None
    """Seconds to go on with registries that are away, which use up no attempt; without it, the
    workers' setting."""
    ordered: bool = True
    """Whether to leave tags alone that a job enqueued later has written."""
    cleanup: bool = False
    """Whether to delete the source once this job, and all others that name it, have ended well."""
    labels: Annotated[dict[Label, LabelValue], Field(max_length=32)] = {}

    @field_validator("source")
    @classmethod
    def _check_source(cls, value: str) -> str:
        if not PurePosixPath(value).is_absolute():
            raise ValueError("must be an absolute path, since workers resolve it elsewhere")
        if "\0" in value:
            raise ValueError("must not contain NUL")
        return value

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("must not name a target twice")
        return value


class PushJob(PushRequest):
    """One image tar to push, as it goes over the wire."""

    id: JobId
    max_attempts: MostAttempts = 5


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job that a worker is to run now, for one attempt."""

    job: PushJob
    targets: tuple[str, ...]
    """Those to push to now: neither done with nor at a registry that wants a pause."""
    attempt: int
    fence: int
    """Grows with every start of the job, also where ``attempt`` does not."""
    sequence: int = 0
    """The job's place in the order of enqueueing."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A job that is due, but whose registries are away, whose last worker may be back, or which
    wants a newer worker.

    ``seconds`` are until it is to ask again if ``ArqQueue.release`` has not woken it before, or a
    newer worker taken it.
    """

    seconds: float


class Turn(StrEnum):
    """The answer to who asks for a turn to write a tag."""

    WRITE = "write"
    WAIT = "wait"
    """Another job writes it just now."""
    SUPERSEDED = "superseded"
    """A job enqueued later has written it; the store has noted that."""
    LOST = "lost"
    """The job is no longer this worker's."""


class TargetResult(BaseModel):
    """What became of a target that is done with."""

    model_config = ConfigDict(frozen=True)

    target: str
    outcome: Literal["pushed", "superseded"]
    """Superseded: a job enqueued later has written the tag, so it was left alone."""
    digest: str | None = None
    """Of the manifest that was pushed."""


class BlobStatus(BaseModel):
    """How far one blob is. ``how`` is empty until it is there."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    digest: str
    size: NonNegativeInt
    """Bytes to move, as far as known."""
    done: NonNegativeInt
    how: Literal["", "uploaded", "mounted", "exists", "waited"] = ""


class Attempt(BaseModel):
    """One run of a job by one worker. Numbers start at 1, again after ``requeue``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime
    outcome: Outcome
    error: str | None = None
    error_kind: str | None = None


class JobStatus(PushJob):
    """A job and how far it is. Fields of later versions are ignored when read."""

    model_config = ConfigDict(extra="ignore")

    state: JobState
    sequence: int
    """Place in the order of enqueueing; grows."""
    generation: NonNegativeInt = 0
    """How often the finished job was enqueued again."""
    attempt: NonNegativeInt = 0
    bytes_total: NonNegativeInt = 0
    bytes_done: NonNegativeInt = 0
    blobs_total: NonNegativeInt = 0
    blobs_done: NonNegativeInt = 0
    digest: str | None = None
    results: tuple[TargetResult, ...] = ()
    notes: tuple[str, ...] = ()
    """What a user would not expect of the push: what was left out and why."""
    error: str | None = None
    """Of the last attempt that failed; one line."""
    error_kind: str | None = None
    worker: str | None = None
    enqueued_at: Moment
    started_at: Moment | None = None
    """Of the latest attempt."""
    finished_at: Moment | None = None
    next_attempt_at: Moment | None = None
    """Not before then: the start of a scheduled job, or of the next attempt."""
    waiting_for: str | None = None
    """Why a job that is due does not run: one line about its registry."""
    cleanup_outcome: str | None = None
    """What became of a source that was to be deleted: ``deleted``, ``kept: …``."""
    give_up_at: Moment | None = None
    """Until then the job goes on with registries that are away; known once it has met one."""
    cancel_requested: bool = False

    @property
    def job(self) -> PushJob:
        """The job alone, without its status."""
        return PushJob(**self.model_dump(include=set(PushJob.model_fields)))


class JobsPage(BaseModel):
    """Jobs that were looked for, the last enqueued first."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[JobStatus, ...]
    """May be fewer than asked for, even none, where there are more."""
    next: int | None
    """The place to go on from; None where nothing is left."""


class WorkerInfo(BaseModel):
    """A worker, as it reports itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    host: str
    pid: int
    version: str
    started_at: datetime
    running: NonNegativeInt = 0
    """Jobs at this moment."""
    problem: str = ""
    """What of its work for the whole queue fails just now, if anything does."""


def make_job(**fields: object) -> PushJob:
    """Build a job from what a user gave.

    Raises:
        InvalidJobError: naming the field that cannot be used.
    """
    try:
        return PushJob.model_validate(fields)
    except ValidationError as error:
        raise InvalidJobError(f"invalid job: {summarize(error)}") from None
