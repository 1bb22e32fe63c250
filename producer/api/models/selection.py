"""Which jobs to list or to change."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from producer.api.models.values import Moment
from producer.bulk import STATES, BulkAction
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobState


class JobsQuery(JobFilter):
    """Which jobs to list, and which page of them."""

    since: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most jobs on a page."""
    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}$")] | None = None
    """``next`` of the page before; without it, the first page."""

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


def _in_one_of(states: Iterable[JobState]) -> Callable[[dict[str, Any]], None]:
    """What the schema of a query says of ``state``; other states are refused with a better word."""

    def narrow(schema: dict[str, Any]) -> None:
        schema["properties"]["state"] = {"type": "string", "enum": [*states]}

    return narrow


class CancelQuery(BulkQuery):
    """Which unfinished jobs to cancel."""

    model_config = ConfigDict(json_schema_extra=_in_one_of(STATES[BulkAction.CANCEL]))


class RetryQuery(BulkQuery):
    """Which final jobs to enqueue again."""

    model_config = ConfigDict(json_schema_extra=_in_one_of(STATES[BulkAction.RETRY]))
