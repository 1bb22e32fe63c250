"""The models of requests and answers; they check the requests.

Answers are stable: fields are added, never renamed or removed.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    SecretStr,
    StringConstraints,
    field_validator,
)

from producer.bulk import STATES, BulkAction
from push_queue.figures.throughput import Minute
from push_queue.models.fleet import RegistryInfo, WorkerInfo
from push_queue.models.job import MOST_PATIENCE_SECONDS, PushRequest, Target
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import Attempt, BlobStatus, JobsPage, JobState, JobStatus
from push_queue.models.pause import MOST_REASON, Pause
from push_queue.settings.api_tokens import Role
from push_queue.webhook_outbox import WebhookStatus
from registry_api_v2_client.reference import DIGEST_PATTERN, TAGGED_PATTERN

MOST_JOBS = 1000
"""Jobs in one batch."""
MOST_SECONDS_WAITED = 300


def _written_out(value: object) -> object:
    """Numbers would be read as Unix time, in seconds or milliseconds by their size."""
    if value is not None and "T" not in str(value).upper():
        raise ValueError("must be a time with its zone, such as 2026-01-31T09:30:00Z")
    return value


def _whole(value: object) -> object:
    """In JSON, ``60.0`` is a whole number, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out)]


IMAGE_PATTERN = f"^[^@]*(@({DIGEST_PATTERN}))?$"


class NewJob(PushRequest):
    """A push to enqueue."""

    model_config = ConfigDict(strict=True)

    targets: Annotated[
        tuple[Annotated[Target, Field(json_schema_extra={"pattern": f"^{TAGGED_PATTERN}$"})], ...],
        Field(min_length=1, max_length=64, json_schema_extra={"uniqueItems": True}),
    ]
    """``registry/repository:tag``, each once."""
    image: Annotated[Target, Field(json_schema_extra={"pattern": IMAGE_PATTERN})] | None = None
    """The tag or digest of one image, if the archive holds several."""

    not_before: Moment | None = None
    """When to start; at once if not given."""

    @field_validator("max_attempts", "give_up_after", mode="before")
    @classmethod
    def _with_or_without_point(cls, value: object) -> object:
        return _whole(value)


Batch = Annotated[tuple[NewJob, ...], Field(min_length=1, max_length=MOST_JOBS)]


class NewJobs(RootModel[Batch]):
    """Pushes to enqueue in one request, in this order."""


def _in_one_of(states: Iterable[JobState]) -> Callable[[dict[str, Any]], None]:
    """What the schema of a query says of ``state``; other states are refused with a better word."""

    def narrow(schema: dict[str, Any]) -> None:
        schema["properties"]["state"] = {"type": "string", "enum": [*states]}

    return narrow


class JobsQuery(JobFilter):
    """Which jobs to list, and which page of them."""

    since: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most jobs on a page."""
    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}$")] | None = None
    """``next`` of the page before."""

    @field_validator("label", mode="before")
    @classmethod
    def _given_once(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def before(self) -> int | None:
        """Where the page before ended."""
        return int(self.cursor) if self.cursor else None


class BulkQuery(JobsQuery):
    """Which jobs to change, and which page of them."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most jobs to change at once."""
    dry_run: bool = False
    """Answer with the jobs that would be changed, and change none."""


class CancelQuery(BulkQuery):
    """Which unfinished jobs to cancel."""

    model_config = ConfigDict(json_schema_extra=_in_one_of(STATES[BulkAction.CANCEL]))


class RetryQuery(BulkQuery):
    """Which final jobs to enqueue again."""

    model_config = ConfigDict(json_schema_extra=_in_one_of(STATES[BulkAction.RETRY]))


class JobQuery(BaseModel):
    """How to read one job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait: Annotated[float, Field(ge=0, le=MOST_SECONDS_WAITED, allow_inf_nan=False)] = 0
    """Seconds to wait at most for the job to be final."""


class JobDetails(JobStatus):
    """A job with its blobs and the attempts that ended."""

    blobs: tuple[BlobStatus, ...]
    """How far each of its blobs is."""
    attempts: tuple[Attempt, ...]
    """The attempts that ended, the oldest first."""


class JobList(BaseModel):
    """Jobs in the order of the request."""

    jobs: tuple[JobStatus, ...]
    """Each as it stands."""


class JobPage(JobList):
    """A page of jobs, the last enqueued first."""

    next: str | None
    """The cursor of the next page; null where nothing is left. A page may be short, even empty,
    before that."""

    @classmethod
    def of(cls, page: JobsPage) -> Self:
        """The page as it is answered."""
        return cls(jobs=page.jobs, next=None if page.next is None else str(page.next))


class WorkerList(BaseModel):
    """The workers that are alive."""

    workers: tuple[WorkerInfo, ...]
    """By their ids."""

    @classmethod
    def of(cls, workers: Iterable[WorkerInfo]) -> Self:
        """The list as it is answered."""
        return cls(workers=tuple(workers))


class RegistryList(BaseModel):
    """The registries in use, by name."""

    registries: tuple[RegistryInfo, ...]
    """Those that the caller may push to."""


class WebhookList(BaseModel):
    """The receivers of webhooks, by name."""

    webhooks: tuple[WebhookStatus, ...]
    """By their names."""


class Ping(BaseModel):
    """What came of a ping."""

    failure: str = ""
    """Why the receiver has not taken it; empty if it has."""
    problem: str = ""
    """Why no worker has sent it; empty if one has."""


class NewPause(BaseModel):
    """How long to pause, and why."""

    model_config = ConfigDict(strict=True, extra="forbid")

    seconds: (
        Annotated[int, Field(ge=1, le=MOST_PATIENCE_SECONDS), BeforeValidator(_whole)] | None
    ) = None
    """Without them, the pause lasts until it is ended."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=MOST_REASON)] | None = None
    """Why, on one line; it is shown wherever the pause is."""


class PurgeQuery(BaseModel):
    """How to delete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry_run: bool = False
    """Answer with what would be deleted, and delete nothing."""


class QueueState(BaseModel):
    """What holds for the whole queue."""

    pause: Pause | None
    """While there is one, workers take no new job."""


class ThroughputAnswer(BaseModel):
    """What all workers have done in the last hour."""

    minutes: tuple[Minute, ...]
    """The oldest first. The last one is not over yet."""


class UploadQuery(BaseModel):
    """Parameters of an upload."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Of the whole upload; it is refused if its bytes are others."""


class UploadStatus(BaseModel):
    """A tar in the spool, or as much of it as has arrived."""

    id: str
    """Its id, which the server has given it."""
    source: str
    """What a job that pushes it has as its source."""
    offset: int
    """Bytes that have arrived."""
    length: int | None
    """Bytes that it will have; null while unknown."""
    complete: bool
    """Whether all of it is here."""
    digest: str | None
    """Of a complete one: ``sha256:…``."""
    expires_at: datetime
    """When it is deleted unless it is continued, or an unfinished job needs it."""


class Login(BaseModel):
    """What a browser logs in with."""

    model_config = ConfigDict(strict=True, extra="forbid")

    token: Annotated[SecretStr, Field(min_length=1, max_length=1024)]
    """The token of the caller."""


class Session(BaseModel):
    """The caller."""

    name: str | None
    """The name of the token; null without tokens."""
    role: Role
    """What the caller may do."""
    targets: tuple[str, ...]
    """Patterns of the repositories that the caller may use; empty for an admin, who may use all."""


class Health(BaseModel):
    """All is well."""

    status: str = "ok"
    """``ok``; a problem is answered otherwise."""


class Reset(BaseModel):
    """Some events are not known any more."""

    detail: str = "events before this one are lost; read the jobs again"
    """What to do about it."""


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    """A URI that says which error it is; stays the same."""
    title: str
    """The name of the status."""
    status: int
    """The status."""
    detail: str
    """One line that names the thing and says what to do."""
