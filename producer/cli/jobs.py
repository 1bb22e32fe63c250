"""``push-queue status``, ``list``, ``watch``, ``cancel`` and ``retry``."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.exits import code_of_error, code_of_jobs
from producer.cli.follow import follow
from producer.cli.options import (
    JobIdsArgument,
    JsonOption,
    ServerOption,
    TimeoutOption,
    TokenFileOption,
)
from producer.cli.output import as_json, print_error, print_job, print_json
from producer.cli.queues import JobQueue, Opening, queue_of
from producer.cli.signals import run
from producer.cli.times import longest_wait
from producer.cli.views import choose_view
from producer.cli.wording import headline
from push_queue.errors import UnknownJobError, UnreadableJobError
from push_queue.models import Attempt, BlobStatus, JobState, JobStatus

Result = TypeVar("Result")
Details = tuple[JobStatus, Sequence[BlobStatus], Sequence[Attempt]]


def status(
    context: typer.Context,
    job_ids: JobIdsArgument,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Show jobs: state, targets, progress, attempts."""

    async def read(queue: JobQueue, job_id: str) -> Details:
        job = await queue.status(job_id)
        return job, await queue.blobs(job_id), await queue.attempts(job_id)

    found, code = _with_each(queue_of(context, server, token_file), job_ids, read)
    if json:
        _print_json([_details_json(*details) for details in found], job_ids)
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
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most jobs to show.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Jobs to skip, for the next page.")] = 0,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List jobs, the last enqueued first."""

    async def read(queue: JobQueue) -> None:
        jobs = await queue.list(state, limit=limit, offset=offset)
        if json:
            print_json([as_json(job) for job in jobs])
        else:
            # Loaded here: tables need a terminal's library, and the other commands do not.
            from producer.cli.job_table import print_table

            print_table(jobs)

    _with_queue(queue_of(context, server, token_file), read)


def watch(
    context: typer.Context,
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Jobs; all that run or wait if none.")
    ] = None,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Show jobs as they go, until they end; without ids, all."""
    ids = list(dict.fromkeys(job_ids or []))
    most = longest_wait(timeout)

    async def show(queue: JobQueue) -> ExitCode:
        view = choose_view(json=json, single=len(ids) == 1)
        return code_of_jobs(await follow(queue, ids, view, timeout=most))

    return _with_queue(queue_of(context, server, token_file), show)


def cancel(
    context: typer.Context,
    job_ids: JobIdsArgument,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Cancel jobs; those that run are stopped by their workers."""

    async def stop(queue: JobQueue, job_id: str) -> JobStatus:
        await queue.cancel(job_id)
        return await queue.status(job_id)

    return _print(*_with_each(queue_of(context, server, token_file), job_ids, stop), job_ids, json)


def retry(
    context: typer.Context,
    job_ids: JobIdsArgument,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Enqueue finished jobs again."""

    async def again(queue: JobQueue, job_id: str) -> JobStatus:
        job = await queue.retry(job_id)
        if job.state.final:
            raise UnreadableJobError(f"{job.id} {headline(job)}")
        return job

    return _print(*_with_each(queue_of(context, server, token_file), job_ids, again), job_ids, json)


def _print(
    jobs: Sequence[JobStatus], code: ExitCode, job_ids: Sequence[str], json: bool
) -> ExitCode:
    if json:
        _print_json([as_json(job) for job in jobs], job_ids)
    else:
        for job in jobs:
            typer.echo(f"{job.id} {headline(job)}")
    return code


def _print_json(found: Sequence[dict[str, Any]], job_ids: Sequence[str]) -> None:
    """An object where one job was asked for, else an array."""
    if len(job_ids) > 1:
        print_json(found)
    elif found:
        print_json(found[0])


def _with_each(
    opening: Opening,
    job_ids: Sequence[str],
    use: Callable[[JobQueue, str], Awaitable[Result]],
) -> tuple[list[Result], ExitCode]:
    """The result of each job; one that fails is reported, and does not affect the others."""

    async def each(queue: JobQueue) -> tuple[list[Result], ExitCode]:
        found, code = [], ExitCode.SUCCESS
        for job_id in dict.fromkeys(job_ids):
            try:
                found.append(await use(queue, job_id))
            except (UnknownJobError, UnreadableJobError) as error:
                print_error(str(error))
                # A damaged job outweighs a wrong id, as a failed push does bad input.
                if code is not ExitCode.PUSH_FAILED:
                    code = code_of_error(error)
        return found, code

    return _with_queue(opening, each)


def _with_queue(opening: Opening, use: Callable[[JobQueue], Awaitable[Result]]) -> Result:
    async def main() -> Result:
        async with opening as queue:
            return await use(queue)

    return run(main())
