"""``push-queue status``, ``list``, ``watch``, ``cancel`` and ``retry``."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.exits import code_of_jobs
from producer.cli.follow import follow
from producer.cli.options import JobIdArgument, JsonOption, settings_of
from producer.cli.output import as_json, print_job, print_json, print_table
from producer.cli.running import run
from producer.cli.text import headline
from producer.cli.views import choose_view
from producer.queue import PushQueue
from push_queue import JobState, JobStatus

Result = TypeVar("Result")


def status(context: typer.Context, job_id: JobIdArgument, json: JsonOption = False) -> None:
    """Show a job: state, targets, progress, attempts."""

    async def read(queue: PushQueue) -> None:
        job = await queue.status(job_id)
        blobs, attempts = await queue.blobs(job_id), await queue.attempts(job_id)
        if not json:
            print_job(job, blobs, attempts)
            return
        details = {
            "blobs": [blob.model_dump(mode="json") for blob in blobs],
            "attempts": [attempt.model_dump(mode="json") for attempt in attempts],
        }
        print_json(as_json(job) | details)

    _with_queue(context, read)


def list_jobs(
    context: typer.Context,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most jobs to show.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Jobs to skip, for the next page.")] = 0,
    json: JsonOption = False,
) -> None:
    """List jobs, the last enqueued first."""

    async def read(queue: PushQueue) -> None:
        jobs = await queue.list(state, limit=limit, offset=offset)
        if json:
            print_json([as_json(job) for job in jobs])
        else:
            print_table(jobs)

    _with_queue(context, read)


def watch(
    context: typer.Context,
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Jobs; all that run if none.")
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Show jobs as they go, until all of them end; without ids whatever runs, until Ctrl-C."""
    ids = list(dict.fromkeys(job_ids or []))

    async def show(queue: PushQueue) -> ExitCode:
        return code_of_jobs(await follow(queue, ids, choose_view(json=json, single=len(ids) == 1)))

    return _with_queue(context, show)


def cancel(context: typer.Context, job_id: JobIdArgument, json: JsonOption = False) -> None:
    """Cancel a job: at once when it waits, by its worker when it runs."""

    async def stop(queue: PushQueue) -> JobStatus:
        await queue.cancel(job_id)
        return await queue.status(job_id)

    _print(_with_queue(context, stop), json)


def retry(context: typer.Context, job_id: JobIdArgument, json: JsonOption = False) -> None:
    """Enqueue a finished job again."""

    async def again(queue: PushQueue) -> JobStatus:
        return await queue.retry(job_id)

    _print(_with_queue(context, again), json)


def _print(job: JobStatus, json: bool) -> None:
    if json:
        print_json(as_json(job))
    else:
        typer.echo(f"{job.id} {headline(job)}")


def _with_queue(context: typer.Context, use: Callable[[PushQueue], Awaitable[Result]]) -> Result:
    settings = settings_of(context)

    async def main() -> Result:
        async with PushQueue.connect(settings) as queue:
            return await use(queue)

    return run(main())
