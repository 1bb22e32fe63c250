"""Which jobs to look for."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from push_queue.models.job_status import JobState, JobStatus

_EPOCH = datetime.fromtimestamp(0, UTC)

Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]
LabelTerm = Annotated[str, StringConstraints(pattern=r"^[^=]", max_length=1200)]


class JobFilter(BaseModel):
    """Selects the jobs that match all of the given fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: JobState | None = None
    """Only jobs in this state."""
    registry: Name | None = None
    """Only jobs with a target at this host, with its port if it has one: ``reg.example.com``."""
    repository: Name | None = None
    """Only jobs with a target in this repository, without its registry: ``team/app``."""
    label: Annotated[tuple[LabelTerm, ...], Field(max_length=32)] = ()
    """Only jobs with this label: ``NAME=VALUE``, or ``NAME`` for any value. Of several, all."""
    error_kind: Name | None = None
    """Only jobs whose last error is of this kind."""
    since: AwareDatetime | None = None
    """Only jobs that were enqueued then or later."""

    def fits(self, job: JobStatus) -> bool:
        """Whether the job matches."""
        return (
            self.state in (None, job.state)
            and self.error_kind in (None, job.error_kind)
            and (self.since is None or self.since <= job.enqueued_at)
            and all(_has(job, term) for term in self.label)
            and any(self._fits_target(target) for target in job.targets)
        )

    @property
    def selects_all(self) -> bool:
        """Whether every job matches, since nothing is asked for."""
        return not any(getattr(self, name) for name in JobFilter.model_fields)

    @property
    def oldest(self) -> int:
        """No job that matches has a smaller sequence number: these are microseconds, or ahead."""
        return (self.since - _EPOCH) // timedelta(microseconds=1) if self.since else 0

    def _fits_target(self, target: str) -> bool:
        registry, _, rest = target.partition("/")
        repository = rest.rpartition(":")[0]
        return self.registry in (None, registry) and self.repository in (None, repository)


def _has(job: JobStatus, term: str) -> bool:
    name, equals, value = term.partition("=")
    return name in job.labels and (not equals or job.labels[name] == value)
