"""``push-queue push``: one shot."""

import sys
from pathlib import Path

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.exits import BadInputError, code_of_jobs
from producer.cli.follow import follow, warn_if_idle
from producer.cli.options import (
    CompressionOption,
    GiveUpAfterOption,
    ImageOption,
    JsonOption,
    NoCacheOption,
    PlatformOption,
    TargetsOption,
    TarOrUrlArgument,
    settings_of,
)
from producer.cli.output import as_json, print_json, print_notes
from producer.cli.requests import (
    STANDARD_INPUT,
    check_source,
    check_standard_input,
    tar_of,
    to_targets,
)
from producer.cli.signals import run
from producer.cli.times import duration
from producer.cli.views import SilentView, View, choose_view
from producer.cli.wording import headline, reason
from producer.job_description import describe_push
from push_queue.event_loop import new_event_loop
from push_queue.models.job import PushJob
from push_queue.models.job_status import JobState, JobStatus
from push_queue.settings import Settings

EXAMPLES = """
Examples:

    push-queue push app.tar --to localhost:15000/app:1

    docker save app | push-queue push - --to reg.example.com/app:1

    digest=$(push-queue push app.tar --to reg.example.com/app:1)

Writes the digest of the pushed manifest to standard output.

Goes through the queue if a Redis is configured. Otherwise it pushes directly, and so does TAR -,
which is standard input: layers are sent while the tar is still being written.
"""

STDIN = "/dev/stdin"
"""How a job names standard input."""


def push(
    context: typer.Context,
    tar: TarOrUrlArgument,
    to: TargetsOption = None,
    image: ImageOption = None,
    platform: PlatformOption = None,
    compression: CompressionOption = "gzip",
    give_up_after: GiveUpAfterOption = "1m",
    no_cache: NoCacheOption = False,
    json: JsonOption = False,
) -> ExitCode:
    """Push an image tar now and show the progress."""
    patience = duration("--give-up-after", give_up_after or "")
    if not to:
        raise BadInputError("say where to push: --to registry/repository:tag")
    piped = tar_of(tar) == STANDARD_INPUT
    if piped:
        check_standard_input()
    source = Path(STDIN) if piped else tar_of(tar)
    check = (lambda path: path) if piped else check_source
    (request,) = to_targets([source], to, image, platform, check=check)

    async def main(settings: Settings) -> ExitCode:
        if no_cache and settings.redis_configured and not piped:
            raise BadInputError(
                "leave out --no-cache: a Redis is configured, so workers push, and they know layers"
            )
        job = describe_push(
            request.source,
            request.targets,
            settings,
            image=request.image,
            platform=request.platform,
            compression=compression,
            give_up_after=patience,
        )
        view = SilentView() if json else choose_view(json=False, single=True, tell_failure=False)
        return _report(await _push(job, settings, view, cache=not no_cache), json)

    return run(main(settings_of(context)), loop_factory=new_event_loop)


async def _push(job: PushJob, settings: Settings, view: View, *, cache: bool) -> JobStatus:
    # Loaded here: each way does without what the others need.
    if job.source == STDIN:
        return await _push_standard_input(job, settings, view, cache=cache)
    if settings.redis_configured:
        from producer.queue import PushQueue
        from producer.routed_queue import RoutedQueue

        kind = RoutedQueue if settings.redis_routes else PushQueue
        async with kind.connect(settings) as queue:
            await warn_if_idle(queue)
            enqueued = await queue.submit(job)
            (ended,) = await follow(queue, [enqueued.id], view, owner=queue)
    else:
        from producer.direct_push import DirectPush

        async with DirectPush.open(job, settings, cache=cache) as push:
            (ended,) = await follow(push, [job.id], view)
    return ended


async def _push_standard_input(
    job: PushJob, settings: Settings, view: View, *, cache: bool
) -> JobStatus:
    """Without a queue, as no worker can read it."""
    from producer.direct_push import DirectPush
    from registry_api_v2_client import TarStream

    with TarStream(sys.stdin.fileno(), ahead=settings.job_uploads) as stream:
        async with DirectPush.open(job, settings, cache=cache, source=stream) as push:
            (ended,) = await follow(push, [job.id], view)
        return ended


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
