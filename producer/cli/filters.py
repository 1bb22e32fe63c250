"""The options that say which jobs a command is about."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from pydantic import ValidationError

from producer.cli.exits import BadInputError
from producer.cli.times import past_moment
from push_queue.errors import summarize
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobState, JobStatus

if TYPE_CHECKING:
    from producer.cli.queues import JobQueue

PAGE = 1000
"""Jobs that are asked for at once."""

StateOption: TypeAlias = Annotated[
    JobState | None, typer.Option("--state", help="Only jobs in this state.")
]
ErrorKindOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--error-kind", metavar="KIND", help="Only jobs whose last error is of this kind."
    ),
]
RegistryOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--registry", metavar="HOST", help="Only jobs with a target at this registry."),
]
RepositoryOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--repository", metavar="NAME", help="Only jobs with a target in this repository."
    ),
]
LabelOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME[=VALUE]",
        help="Only jobs that have this label; may be repeated.",
    ),
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only jobs enqueued in the last 90s, 10m, 2h, or since 2026-01-31T09:30.",
    ),
]
DryRunOption: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Only show the jobs that would be changed.")
]
YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Change all jobs that match without asking.")
]
OPTIONS = ("--state", "--error-kind", "--registry", "--repository", "--label", "--since")


def filter_of(
    state: JobState | None,
    error_kind: str | None,
    registry: str | None,
    repository: str | None,
    label: Sequence[str] | None,
    since: str | None,
) -> JobFilter:
    """The jobs that match all of the options.

    Raises:
        BadInputError: naming the option.
    """
    try:
        return JobFilter(
            state=state,
            error_kind=error_kind,
            registry=registry,
            repository=repository,
            label=tuple(label or ()),
            since=past_moment("--since", since) if since else None,
        )
    except ValidationError as error:
        raise BadInputError(summarize(error, _option)) from None


def _option(field: str) -> str:
    return f"--{field.partition('.')[0].replace('_', '-')}"


def by_ids(job_ids: Sequence[str] | None, wanted: JobFilter, *, dry_run: bool) -> bool:
    """Whether ids say which jobs to change; else the filter does.

    Raises:
        BadInputError: neither does, or both do.
    """
    if job_ids and (dry_run or not wanted.selects_all):
        raise BadInputError(f"give either ids, or --dry-run and {', '.join(OPTIONS)}")
    if not job_ids and wanted.selects_all:
        raise BadInputError(f"say which jobs: by their ids, or by {', '.join(OPTIONS)}")
    return bool(job_ids)


async def jobs_that_match(
    queue: "JobQueue", wanted: JobFilter, limit: int, offset: int
) -> Sequence[JobStatus]:
    """A page of them, the last enqueued first."""
    if wanted == JobFilter(state=wanted.state):
        return await queue.list(wanted.state, limit=limit, offset=offset)
    found: list[JobStatus] = []
    skipped, before = 0, None
    while len(found) < limit:
        page = await queue.find(wanted, before=before, limit=PAGE)
        found += page.jobs[max(0, offset - skipped) :]
        skipped += len(page.jobs)
        before = page.next
        if before is None:
            break
    return found[:limit]
