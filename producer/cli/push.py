"""``push-queue push``: one shot."""

import typer

from producer.cli.exits import BadInputError, ExitCode, code_of_jobs
from producer.cli.follow import follow, warn_without_workers
from producer.cli.options import (
    CompressionOption,
    GiveUpAfterOption,
    ImageOption,
    JsonOption,
    PlatformOption,
    TarArgument,
    TargetsOption,
    settings_of,
)
from producer.cli.output import as_json, print_json, print_notes
from producer.cli.running import run
from producer.cli.sources import to_targets
from producer.cli.text import headline, reason
from producer.cli.times import duration
from producer.cli.views import SilentView, choose_view
from producer.one_shot import one_shot
from producer.queue import PushQueue
from push_queue import JobState, JobStatus, Settings

EXAMPLES = """
Examples:

    push-queue push app.tar --to localhost:15000/app:1

    digest=$(push-queue push app.tar --to registry.example.com/app:1)

Writes the digest of the pushed manifest to standard output.

Without a configured Redis it starts one, and a worker, for this push.
"""


def push(
    context: typer.Context,
    tar: TarArgument,
    to: TargetsOption = None,
    image: ImageOption = None,
    platform: PlatformOption = None,
    compression: CompressionOption = "gzip",
    give_up_after: GiveUpAfterOption = "1m",
    json: JsonOption = False,
) -> ExitCode:
    """Push an image tar now and show the progress."""
    patience = duration("--give-up-after", give_up_after or "")
    if not to:
        raise BadInputError("say where to push: --to registry/repository:tag")
    (request,) = to_targets([tar], to, image, platform)

    async def push_through(queue: PushQueue, *, outlived: bool) -> JobStatus:
        job = await queue.enqueue(
            request.source,
            request.targets,
            image=request.image,
            platform=request.platform,
            compression=compression,
            give_up_after=patience,
        )
        view = SilentView() if json else choose_view(json=False, single=True)
        (job,) = await follow(queue, [job.id], view, outlived=outlived)
        return job

    async def main(settings: Settings) -> ExitCode:
        if settings.redis_configured:
            async with PushQueue.connect(settings) as queue:
                await warn_without_workers(queue)
                job = await push_through(queue, outlived=True)
        else:
            async with one_shot() as own, PushQueue.connect(own.settings) as queue:
                job = await own.run(push_through(queue, outlived=False))
        return _report(job, json)

    return run(main(settings_of(context)))


def _report(job: JobStatus, json: bool) -> ExitCode:
    if json:
        print_json(as_json(job))
    elif job.state is JobState.SUCCEEDED:
        typer.echo(job.digest)
        print_notes(job)
    elif job.state is JobState.SUPERSEDED:
        typer.echo(f"{job.id} {headline(job)}", err=True)
    else:
        why = reason(job) if job.state is JobState.FAILED else f"the push was {job.state}"
        typer.echo(f"push-queue: error: {why}", err=True)
    return code_of_jobs([job])
