"""Jobs: what is enqueued, and what is answered of them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from producer.api.models.values import Moment, whole
from push_queue.models.job import PushRequest, Target
from push_queue.models.job_status import Attempt, BlobStatus, JobsPage, JobStatus
from registry_api_v2_client.reference import DIGEST_PATTERN, TAGGED_PATTERN

MOST_JOBS = 1000
"""Jobs in one batch."""
MOST_SECONDS_WAITED = 300

IMAGE_PATTERN = f"^[^@]*(@({DIGEST_PATTERN}))?$"


class NewJob(PushRequest):
    """A push to enqueue."""

    model_config = ConfigDict(strict=True)

    targets: Annotated[
        tuple[Annotated[Target, Field(json_schema_extra={"pattern": f"^{TAGGED_PATTERN}$"})], ...],
        Field(min_length=1, max_length=64, json_schema_extra={"uniqueItems": True}),
    ]
    """Where to push: ``registry/repository:tag``, each once."""
    image: Annotated[Target, Field(json_schema_extra={"pattern": IMAGE_PATTERN})] | None = None
    """The tag or digest of one image, if the archive holds several."""
    not_before: Moment | None = None
    """When to start; at once if not given."""

    @field_validator("max_attempts", "give_up_after", mode="before")
    @classmethod
    def _with_or_without_point(cls, value: object) -> object:
        return whole(value)


Batch = Annotated[tuple[NewJob, ...], Field(min_length=1, max_length=MOST_JOBS)]


class NewJobs(RootModel[Batch]):
    """Pushes to enqueue in one request, in this order."""


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
