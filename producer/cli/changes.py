"""``push-queue cancel`` and ``retry``: jobs by their ids, or all that match."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import typer

from producer.bulk import BulkAction
from producer.cli.each_job import print_json_of, with_each
from producer.cli.exit_code import ExitCode
from producer.cli.filters import (
    DryRunOption,
    ErrorKindOption,
    LabelOption,
    RegistryOption,
    RepositoryOption,
    SinceOption,
    StateOption,
    YesOption,
    by_ids,
    filter_of,
)
from producer.cli.operate.bulk import Bulk, change_all
from producer.cli.options import (
    JsonByIdsOption,
    OptionalJobIdsArgument,
    ServerOption,
    TokenFileOption,
)
from producer.cli.output import as_json
from producer.cli.queues import JobQueue, queue_of
from producer.cli.wording import headline
from push_queue.errors import UnreadableJobError
from push_queue.models.job_status import JobStatus

EXAMPLES = {
    "cancel": """
Examples:

    push-queue cancel build-4711 build-4712

    push-queue cancel --label team=a --since 10m --dry-run

Without ids, all jobs are cancelled that match every option and are not finished. On a
terminal you are told how many there are, and asked.
""",
    "retry": """
Examples:

    push-queue retry build-4711 build-4712

    push-queue retry --error-kind denied --since 2h

Without ids, all jobs are enqueued again that match every option and failed, or are in
the --state that you name. On a terminal you are told how many there are, and asked.
""",
}


def cancel(
    context: typer.Context,
    job_ids: OptionalJobIdsArgument = None,
    state: StateOption = None,
    error_kind: ErrorKindOption = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonByIdsOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Cancel jobs; those that run are stopped by their workers."""
    wanted = filter_of(state, error_kind, registry, repository, label, since)
    bulk = Bulk(BulkAction.CANCEL, wanted, dry_run, yes)

    async def stop(queue: JobQueue, job_id: str) -> JobStatus:
        await queue.cancel(job_id)
        return await queue.status(job_id)

    return _change(context, server, token_file, job_ids or [], bulk, stop, json=json)


def retry(
    context: typer.Context,
    job_ids: OptionalJobIdsArgument = None,
    state: StateOption = None,
    error_kind: ErrorKindOption = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonByIdsOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Enqueue finished jobs again."""
    wanted = filter_of(state, error_kind, registry, repository, label, since)
    bulk = Bulk(BulkAction.RETRY, wanted, dry_run, yes)

    async def again(queue: JobQueue, job_id: str) -> JobStatus:
        job = await queue.retry(job_id)
        if job.state.final:
            raise UnreadableJobError(f"{job.id} {headline(job)}")
        return job

    return _change(context, server, token_file, job_ids or [], bulk, again, json=json)


def _change(
    context: typer.Context,
    server: str | None,
    token_file: Path | None,
    job_ids: Sequence[str],
    bulk: Bulk,
    change: Callable[[JobQueue, str], Awaitable[JobStatus]],
    *,
    json: bool,
) -> ExitCode:
    """Change the jobs with these ids, or all that match."""
    if not by_ids(job_ids, bulk.wanted, dry_run=bulk.dry_run):
        return change_all(context, server, token_file, bulk, json=json)
    jobs, code = with_each(queue_of(context, server, token_file), job_ids, change)
    _print(jobs, job_ids, json=json)
    return code


def _print(jobs: Sequence[JobStatus], job_ids: Sequence[str], *, json: bool) -> None:
    if json:
        print_json_of([as_json(job) for job in jobs], job_ids)
    else:
        for job in jobs:
            typer.echo(f"{job.id} {headline(job)}")
