"""``push-queue status``, ``list`` and ``watch``."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from producer.cli.each_job import print_json_of, with_each, with_queue
from producer.cli.exit_code import ExitCode
from producer.cli.exits import code_of_jobs
from producer.cli.filters import (
    ErrorKindOption,
    LabelOption,
    RegistryOption,
    RepositoryOption,
    SinceOption,
    StateOption,
    filter_of,
    jobs_that_match,
)
from producer.cli.follow import follow, warn_if_paused
from producer.cli.options import (
    JobIdsArgument,
    JsonArrayOption,
    JsonByIdsOption,
    JsonLinesOption,
    ServerOption,
    TimeoutOption,
    TokenFileOption,
)
from producer.cli.output import as_json, print_job, print_json
from producer.cli.queues import JobQueue, queue_of
from producer.cli.times import longest_wait
from producer.cli.views import choose_view
from push_queue.models.job_status import Attempt, BlobStatus, JobState, JobStatus

Details = tuple[JobStatus, Sequence[BlobStatus], Sequence[Attempt]]

EXAMPLES = {
    "status": """
Examples:

    push-queue status build-4711

    push-queue status build-4711 --json
""",
    "list": """
Examples:

    push-queue list --state failed --since 2h

    push-queue list --registry reg.example.com --label team=a
""",
    "watch": """
Examples:

    push-queue watch build-4711

    push-queue watch build-4711 build-4712 --timeout 10m
""",
}


def status(
    context: typer.Context,
    job_ids: JobIdsArgument,
    json: JsonByIdsOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Show jobs: state, targets, progress, attempts."""
    told = False

    async def read(queue: JobQueue, job_id: str) -> Details:
        nonlocal told
        job = await queue.status(job_id)
        if not told and job.state in (JobState.QUEUED, JobState.RETRYING):
            await warn_if_paused(queue)
            told = True
        return job, await queue.blobs(job_id), await queue.attempts(job_id)

    found, code = with_each(queue_of(context, server, token_file), job_ids, read)
    if json:
        print_json_of([_details_json(*details) for details in found], job_ids)
    else:
        for position, details in enumerate(found):
            if position:
                typer.echo()
            print_job(*details)
    return code


def _details_json(
    job: JobStatus, blobs: Sequence[BlobStatus], attempts: Sequence[Attempt]
) -> dict[str, Any]:
    return as_json(job) | {
        "blobs": [blob.model_dump(mode="json") for blob in blobs],
        "attempts": [attempt.model_dump(mode="json") for attempt in attempts],
    }


def list_jobs(
    context: typer.Context,
    state: StateOption = None,
    error_kind: ErrorKindOption = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Show N jobs at most.")
    ] = 50,
    offset: Annotated[
        int, typer.Option(metavar="N", min=0, help="Skip the first N jobs, for the next page.")
    ] = 0,
    json: JsonArrayOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List jobs, the last enqueued first."""
    wanted = filter_of(state, error_kind, registry, repository, label, since)

    async def read(queue: JobQueue) -> None:
        jobs = await jobs_that_match(queue, wanted, limit, offset)
        if json:
            print_json([as_json(job) for job in jobs])
        else:
            # Loaded here: tables need a terminal's library, and the other commands do not.
            from producer.cli.job_table import print_table

            print_table(jobs)
        if not all(job.state.final for job in jobs):
            await warn_if_paused(queue)

    with_queue(queue_of(context, server, token_file), read)


def watch(
    context: typer.Context,
    job_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of jobs; without any, all that run or wait."),
    ] = None,
    timeout: TimeoutOption = None,
    json: JsonLinesOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Show jobs live, until they end; without ids all, until Ctrl-C."""
    ids = list(dict.fromkeys(job_ids or []))
    most = longest_wait(timeout)

    async def show(queue: JobQueue) -> ExitCode:
        await warn_if_paused(queue)
        view = choose_view(json=json, single=len(ids) == 1)
        return code_of_jobs(await follow(queue, ids, view, timeout=most))

    return with_queue(queue_of(context, server, token_file), show)
