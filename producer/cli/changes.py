"""``push-queue cancel`` and ``retry``: jobs by their ids, or all that match."""

from collections.abc import Sequence

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
    JsonOption,
    OptionalJobIdsArgument,
    ServerOption,
    TokenFileOption,
)
from producer.cli.output import as_json
from producer.cli.queues import JobQueue, queue_of
from producer.cli.wording import headline
from push_queue.errors import UnreadableJobError
from push_queue.models import JobStatus

EXAMPLES = """
Examples:

    push-queue retry build-4711 build-4712

    push-queue cancel --label team=a --since 10m --dry-run

    push-queue retry --error-kind denied --since 2h

Without ids, all jobs are changed that match every option: by `cancel` those that
are not finished, by `retry` those that failed, or are in the --state that you
name. On a terminal you are told how many there are, and asked.
"""


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
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Cancel jobs; those that run are stopped by their workers."""
    wanted = filter_of(state, error_kind, registry, repository, label, since)
    ids = job_ids or []
    if not by_ids(ids, wanted, dry_run=dry_run):
        bulk = Bulk(BulkAction.CANCEL, wanted, dry_run, yes)
        return change_all(context, server, token_file, bulk, json=json)

    async def stop(queue: JobQueue, job_id: str) -> JobStatus:
        await queue.cancel(job_id)
        return await queue.status(job_id)

    opening = queue_of(context, server, token_file)
    return _print(*with_each(opening, ids, stop), ids, json)


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
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Enqueue finished jobs again."""
    wanted = filter_of(state, error_kind, registry, repository, label, since)
    ids = job_ids or []
    if not by_ids(ids, wanted, dry_run=dry_run):
        bulk = Bulk(BulkAction.RETRY, wanted, dry_run, yes)
        return change_all(context, server, token_file, bulk, json=json)

    async def again(queue: JobQueue, job_id: str) -> JobStatus:
        job = await queue.retry(job_id)
        if job.state.final:
            raise UnreadableJobError(f"{job.id} {headline(job)}")
        return job

    opening = queue_of(context, server, token_file)
    return _print(*with_each(opening, ids, again), ids, json)


def _print(
    jobs: Sequence[JobStatus], code: ExitCode, job_ids: Sequence[str], json: bool
) -> ExitCode:
    if json:
        print_json_of([as_json(job) for job in jobs], job_ids)
    else:
        for job in jobs:
            typer.echo(f"{job.id} {headline(job)}")
    return code
