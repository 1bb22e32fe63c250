"""A job's states, its progress and its results."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_serializer

from push_queue.models.job import Moment, PushJob, Target
from push_queue.models.source_urls import shown


class JobState(StrEnum):
    """The state of a job.

    ``queued → running → succeeded | superseded | failed | cancelled``, and
    ``running → retrying → running``. A job is superseded if newer jobs have written all its tags.
    """

    QUEUED = "queued"
    """It waits for its time, for a worker or for a registry; ``waiting_for`` says for what."""
    RUNNING = "running"
    """A worker pushes it."""
    RETRYING = "retrying"
    """An attempt failed, and the next one waits for its time."""
    SUCCEEDED = "succeeded"
    """Every target names the image, or a newer one at targets that are superseded. Final."""
    FAILED = "failed"
    """``error`` and ``error_kind`` say why. Targets that were pushed before stay pushed. Final."""
    CANCELLED = "cancelled"
    """Somebody asked for that. Final."""
    SUPERSEDED = "superseded"
    """Newer jobs have written all its tags, so it left them alone. Final."""

    @property
    def final(self) -> bool:
        """Whether the job stays as it is unless it is enqueued again."""
        return self in FINAL_STATES


FINAL_STATES = (
    JobState.SUCCEEDED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.SUPERSEDED,
)


class Outcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    """All was pushed."""
    FAILED = "failed"
    """``error`` says why. The job may have attempts left."""
    CANCELLED = "cancelled"
    """Its worker stopped it, as somebody had asked."""
    SUPERSEDED = "superseded"
    """Newer jobs had written all its tags."""
    RELEASED = "released"
    """A worker that was stopped handed the job back. The attempt does not count."""
    DEFERRED = "deferred"
    """A registry is down or asks for a pause. The attempt does not count."""
    LOST = "lost"
    """The worker stopped reporting."""


class TargetResult(BaseModel):
    """The result of a target that is done."""

    model_config = ConfigDict(frozen=True)

    target: str
    """``registry/repository:tag``."""
    outcome: Literal["pushed", "superseded"]
    """``superseded``: a job enqueued later has written the tag, so this one left it alone."""
    digest: str | None = None
    """The digest of the manifest that was pushed, ``sha256:…``; not set if none was."""


class BlobStatus(BaseModel):
    """The progress of one blob. ``how`` is empty until the registry has it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    digest: str
    """The digest of the blob as it is in the archive, ``sha256:…``."""
    size: NonNegativeInt
    """Bytes to send, as far as known."""
    done: NonNegativeInt
    """Bytes of the blob that are done."""
    how: Literal["", "uploaded", "mounted", "exists", "waited"] = ""
    """Uploaded, mounted from another repository, there already (``exists``), or sent by another job
    that this one ``waited`` for. Empty until the registry has it."""


class Attempt(BaseModel):
    """One attempt that has ended. Numbers start at 1, and again after ``requeue``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    """Which attempt it was; the first is 1."""
    worker: str
    """The id of the worker that ran it."""
    started_at: datetime
    """When it began."""
    finished_at: datetime
    """When it ended."""
    outcome: Outcome
    """How it ended."""
    error: str | None = None
    """What went wrong, on one line; not set if nothing did."""
    error_kind: str | None = None
    """The kind of that error, for programs."""


class Progress(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    attempt: NonNegativeInt = 0
    """The number of the latest attempt, of those that count; 0 before the first."""
    bytes_total: NonNegativeInt = 0
    """Bytes of all blobs of the archive; 0 until it is read."""
    bytes_done: NonNegativeInt = 0
    """Of ``bytes_total``, those that are done in the latest attempt."""
    blobs_total: NonNegativeInt = 0
    """Blobs of the archive; 0 until it is read."""
    blobs_done: NonNegativeInt = 0
    """Blobs that the registries have."""
    bytes_saved: NonNegativeInt = 0
    """Of ``bytes_total``, those of blobs that the latest attempt need not send: they were there,
    were mounted, or another job has sent them."""
    bytes_sent: NonNegativeInt = 0
    """Bytes that were sent, compressed, in all attempts and tries."""
    bytes_per_second: NonNegativeInt | None = None
    """How fast ``bytes_done`` grew in the last 5 s by what is sent. Only while the job runs."""
    seconds_left: NonNegativeInt | None = None
    """Seconds until all bytes are done, at this rate. Only while the job runs."""


class JobProgress(Progress):
    """How far a running job is."""

    id: str
    """The job's id."""
    targets: Annotated[tuple[Target, ...], Field(exclude=True)]
    """The job's, to tell whom its progress is told."""


class JobStatus(Progress, PushJob):
    """A job and its progress. Fields of newer releases are ignored."""

    model_config = ConfigDict(extra="ignore")

    state: JobState
    """The job's state."""
    sequence: int
    """The job's place in the order of enqueueing: when it was enqueued, in microseconds."""
    generation: NonNegativeInt = 0
    """How often the finished job was enqueued again."""
    seconds_run: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """How many seconds the attempts that ended took together, without the time between them."""
    digest: str | None = None
    """The digest of the manifest, ``sha256:…``, once the job has succeeded."""
    results: tuple[TargetResult, ...] = ()
    """The targets that are done, also while others are not."""
    notes: tuple[str, ...] = ()
    """What the user may not expect of the push: what was left out, and why."""
    error: str | None = None
    """The error of the last attempt that failed, on one line; not set if none has."""
    error_kind: str | None = None
    """The kind of that error, for programs."""
    worker: str | None = None
    """The id of the worker of the latest attempt; not set before the first."""
    enqueued_at: Moment
    """When it was enqueued, by Redis' clock."""
    started_at: Moment | None = None
    """The start of the latest attempt."""
    finished_at: Moment | None = None
    """When it became final."""
    next_attempt_at: Moment | None = None
    """The job does not run earlier: it is scheduled, or its next attempt is."""
    waiting_for: str | None = None
    """Why a due job does not run, on one line."""
    cleanup_outcome: str | None = None
    """What happened to the source, if it was to be deleted: ``deleted``, ``kept: …``."""
    give_up_at: Moment | None = None
    """The job waits until then for registries that are down; not set if none is."""
    cancel_requested: bool = False
    """Somebody has asked for it to be cancelled, and its worker has not stopped yet."""
    traceparent: str | None = None
    """The span that enqueued it (W3C Trace Context)."""
    enqueued_by: str | None = None
    """The caller of the HTTP API that enqueued the job, where the server knows callers by name."""
    retried_by: str | None = None
    """The caller that enqueued it again last."""
    cancelled_by: str | None = None
    """The caller that asked first to have it cancelled."""

    @field_serializer("source", when_used="json")
    def _without_query(self, source: str) -> str:
        """The query of a URL may carry a signature, which is for workers alone."""
        return shown(source)

    @property
    def job(self) -> PushJob:
        """The job alone, without its status."""
        return PushJob(**self.model_dump(include=set(PushJob.model_fields)))


class JobsPage(BaseModel):
    """Jobs that match, the last enqueued first."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[JobStatus, ...]
    """May be fewer than asked for, even none, although there are more."""
    next: int | None
    """The place to continue from; None at the end."""
