"""A job: what is asked of a push."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from push_queue.errors import InvalidJobError, summarize
from push_queue.models.ids import JOB_ID_PATTERN
from push_queue.models.source_urls import is_url, parse_source_url, shown
from push_queue.models.uploads import SCHEME, upload_id_of

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
PatienceSeconds = Annotated[int, Field(ge=1, le=MOST_PATIENCE_SECONDS)]
Compression = Literal["gzip", "zstd", "keep"]
Priority = Literal["high", "normal", "low"]


class PushRequest(BaseModel):
    """What a caller may ask of a push. It holds no credentials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: JobId | None = None
    """The caller's own id; one is made if not given. Enqueueing the same job again returns the
    existing one."""
    source: Annotated[
        str,
        StringConstraints(min_length=1, max_length=4096),
        Field(json_schema_extra={"pattern": f"^(/|{SCHEME}|(https?|s3|gs|az)://)"}),
    ]
    """The archive: its absolute path as workers see it, ``upload:<id>``, or a URL."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=64)]
    """Where to push: ``registry/repository:tag``, each once."""
    image: Target | None = None
    """The tag or digest of one image, if the archive holds several."""
    platform: Platform | None = None
    """``linux/arm64``: push the image for this platform alone. Without it, a whole index."""
    compression: Compression = "gzip"
    """How layers are compressed that are not compressed yet; ``keep`` sends all as they are."""
    priority: Priority = "normal"
    """Each step up overtakes jobs enqueued up to 15 minutes before."""
    max_attempts: MostAttempts | None = None
    """Attempts before the job fails; without it ``PUSH_QUEUE_MAX_ATTEMPTS``."""
    give_up_after: PatienceSeconds | None = None
    """Seconds to wait for registries that are down; without it the workers'
    ``PUSH_QUEUE_GIVE_UP_AFTER_SECONDS``."""
    ordered: bool = True
    """Leave a tag alone if a job enqueued later has written it."""
    cleanup: bool = False
    """Delete the source once this job and all others with the same source have succeeded."""
    labels: Annotated[dict[Label, LabelValue], Field(max_length=32)] = {}
    """The caller's own names and values, to find the job by."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """As ``JobStatus`` is answered: without the query of a URL, which may carry a signature."""
        for name, value in super().__repr_args__():
            yield name, shown(value) if name == "source" else value

    @field_validator("source")
    @classmethod
    def _check_source(cls, value: str) -> str:
        if upload_id_of(value):
            return value
        if value.startswith(SCHEME):
            raise ValueError("is not upload: with the id that the upload was answered with")
        if is_url(value):
            parse_source_url(value)
            return value
        if not PurePosixPath(value).is_absolute():
            raise ValueError("must be an absolute path, since workers resolve it elsewhere")
        if "\0" in value:
            raise ValueError("must not contain NUL")
        return value

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for target in value:
            if value.count(target) > 1:
                raise ValueError(f"{target} is named twice; leave one out")
        return value

    @field_validator("cleanup")
    @classmethod
    def _check_cleanup(cls, value: bool, info: ValidationInfo) -> bool:
        if value and is_url(info.data.get("source", "")):
            raise ValueError("workers delete files and uploads, but nothing at a URL")
        return value


class PushJob(PushRequest):
    """One image tar to push, as it is stored in Redis."""

    id: JobId
    """The job's id: the caller's own, or one that was made."""
    max_attempts: MostAttempts = 5
    """Attempts before the job fails."""


def make_job(**fields: object) -> PushJob:
    """Make a job from a user's input.

    Raises:
        InvalidJobError: names the field that cannot be used.
    """
    try:
        return PushJob.model_validate(fields)
    except ValidationError as error:
        raise InvalidJobError(f"invalid job: {summarize(error)}") from None
