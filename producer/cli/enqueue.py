"""``push-queue enqueue``."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.exits import BadInputError, code_of_jobs
from producer.cli.follow import follow, warn_if_idle
from producer.cli.options import (
    CompressionOption,
    GiveUpAfterOption,
    ImageOption,
    JsonOption,
    PlatformOption,
    ServerOption,
    TargetsOption,
    TimeoutOption,
    TokenFileOption,
    server_of,
    settings_of,
)
from producer.cli.output import as_json, print_json, print_notes
from producer.cli.queues import JobQueue, connected
from producer.cli.requests import (
    STANDARD_INPUT,
    Request,
    Tar,
    by_redis,
    check_archive,
    remote_source,
    standard_input_or,
    tar_of,
    to_original_tags,
    to_targets,
)
from producer.cli.signals import run
from producer.cli.times import duration, longest_wait, start_time
from producer.cli.views import SilentView, choose_view
from producer.cli.wording import headline
from producer.errors import NotAllEnqueuedError
from producer.job_description import PushOptions
from producer.queue import PushQueue
from producer.routed_queue import RoutedQueue
from push_queue.models.job import JobState, JobStatus, Priority

ENDED_BADLY = (JobState.FAILED, JobState.CANCELLED)

EXAMPLES = """
Examples:

    push-queue enqueue app.tar --to localhost:15000/app:1

    push-queue enqueue *.tar --original-tags --registry localhost:15000

    push-queue enqueue https://artifacts.example.com/app.tar --to localhost:15000/app:1

    docker save app | push-queue enqueue - --server http://localhost:15080 --to reg.io/app:1

Writes the id of each job on a line of its own; with --wait, how each ended.

The tar must be at the same path for the workers, or is uploaded to --server. Of a URL,
PUSH_QUEUE_SOURCE_URLS of the workers has to allow it. If one of several is
wrong, none is enqueued.
"""


def enqueue(
    context: typer.Context,
    tars: Annotated[
        list[str],
        typer.Argument(metavar="TAR", help="Image tars or folders of OCI layouts; path or URL."),
    ],
    to: TargetsOption = None,
    original_tags: Annotated[
        bool, typer.Option("--original-tags", help="Push under the tags that are in the tar.")
    ] = False,
    registry: Annotated[
        str | None,
        typer.Option("--registry", metavar="HOST", help="Where --original-tags go: host:port."),
    ] = None,
    remote_path: Annotated[
        bool,
        typer.Option(
            "--remote-path", help="TAR is a path of the workers; do not look for it here."
        ),
    ] = False,
    image: ImageOption = None,
    platform: PlatformOption = None,
    compression: CompressionOption = "gzip",
    job_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Your own id; the same job is enqueued once."),
    ] = None,
    priority: Annotated[
        Priority,
        typer.Option("--priority", help="Overtakes lower ones enqueued up to 15 minutes before."),
    ] = "normal",
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="TIME", help="Start after 90s, 5m, 2h30m.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Start at 2026-01-31T09:30.")
    ] = None,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered/--unordered",
            help="Whether to leave tags alone that a job enqueued later has written.",
        ),
    ] = True,
    cleanup: Annotated[
        bool, typer.Option("--cleanup", help="Have the worker delete the tar after success.")
    ] = False,
    max_attempts: Annotated[
        int | None, typer.Option("--max-attempts", metavar="N", help="Tries before it fails.")
    ] = None,
    give_up_after: GiveUpAfterOption = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="Kept with the job; may be repeated."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; exit 1 if a push failed.")
    ] = False,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
    server_url: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Enqueue image tars for pushing and return at once."""
    settings = settings_of(context)
    server = server_of(context, settings, server_url, token_file)
    upload = server is not None and not remote_path
    sources = [tar_of(text) for text in tars]
    if STANDARD_INPUT in sources:
        _check_standard_input(sources, upload=upload, original_tags=original_tags)
    if cleanup and upload:
        raise BadInputError("--cleanup is for tars of the workers; an upload is deleted anyway")
    requests = [
        part
        for request in _requests(
            sources, to or [], original_tags, registry, remote_path, image, platform
        )
        for part in by_redis(request, settings)
    ]
    if job_id is not None and len(requests) > 1:
        raise BadInputError(f"--id names one job, but this makes {len(requests)}")
    if cleanup and len({request.source for request in requests}) < len(requests):
        raise BadInputError("--cleanup needs one job a tar, and this makes several of one")
    if upload:
        _refuse_folders(requests, "--server takes tars: tar -C {} -cf - . | push-queue enqueue -")
    if cleanup and not remote_path:
        _refuse_folders(requests, "--cleanup does not delete {}: it may hold other images")
    labels = dict(_label(text) for text in label or [])
    not_before = start_time(delay, at)
    if timeout is not None and not wait:
        raise BadInputError("--timeout goes with --wait")
    most = longest_wait(timeout)
    patience = duration("--give-up-after", give_up_after) if give_up_after else None

    options = PushOptions(
        job_id=job_id,
        compression=compression,
        priority=priority,
        ordered=ordered,
        cleanup=cleanup,
        max_attempts=max_attempts,
        give_up_after=patience,
        labels=labels,
    )

    async def main() -> ExitCode:
        async with connected(settings, server) as queue:
            if isinstance(queue, (PushQueue, RoutedQueue)):
                jobs = await _enqueue(queue, requests, options, not_before)
            else:
                # Loaded here: what speaks to Redis needs no HTTP.
                from producer.cli.enqueue_remotely import enqueue_remotely

                jobs = await enqueue_remotely(
                    queue, settings, requests, options, not_before, upload=upload
                )
            _tell_of_ended(jobs)
            return await _wait(queue, jobs, most, json) if wait else _report(jobs, json)

    return run(main())


async def _enqueue(
    queue: PushQueue | RoutedQueue,
    requests: list[Request],
    options: PushOptions,
    not_before: datetime | timedelta | None,
) -> list[JobStatus]:
    jobs = [
        queue.describe(request.source, request.targets, **request.with_options(options))
        for request in requests
    ]
    try:
        return await queue.enqueue_many(jobs, not_before=not_before)
    except NotAllEnqueuedError as error:
        for job in error.enqueued:
            typer.echo(job.id)
        raise


async def _wait(
    queue: JobQueue, jobs: list[JobStatus], timeout: timedelta | None, json: bool
) -> ExitCode:
    await warn_if_idle(queue)
    view = SilentView() if json else choose_view(json=False, single=len(jobs) == 1)
    jobs = await follow(queue, [job.id for job in jobs], view, timeout=timeout, owner=queue)
    if json:
        print_json([as_json(job) for job in jobs])
    else:
        for job in jobs:
            typer.echo(f"{job.id} {headline(job)}")
            print_notes(job)
    return code_of_jobs(jobs)


def _report(jobs: list[JobStatus], json: bool) -> ExitCode:
    if json:
        print_json([as_json(job) for job in jobs])
    else:
        for job in jobs:
            typer.echo(job.id)
    return (
        ExitCode.PUSH_FAILED if any(job.state in ENDED_BADLY for job in jobs) else ExitCode.SUCCESS
    )


def _tell_of_ended(jobs: list[JobStatus]) -> None:
    """Jobs that were enqueued before, by the same id, and will not run by themselves."""
    for job in jobs:
        if job.state in ENDED_BADLY:
            typer.echo(
                f"push-queue: error: {job.id} {headline(job)};"
                f" to run it again: push-queue retry {job.id}",
                err=True,
            )


def _requests(
    tars: list[Tar],
    targets: list[str],
    original_tags: bool,
    registry: str | None,
    remote_path: bool,
    image: str | None,
    platform: str | None,
) -> list[Request]:
    if original_tags == bool(targets):
        raise BadInputError("say where to push: either --to REF, or --original-tags")
    if original_tags != bool(registry):
        raise BadInputError("--original-tags and --registry HOST belong together")
    if image and original_tags:
        raise BadInputError("--image goes with --to; --original-tags pushes every image")
    if remote_path and original_tags:
        raise BadInputError("--remote-path goes with --to; --original-tags reads the tar here")
    if registry:
        return to_original_tags(tars, registry, platform)
    check = remote_source if remote_path else standard_input_or(check_archive)
    return to_targets(tars, targets, image, platform, check=check)


def _check_standard_input(tars: list[Tar], *, upload: bool, original_tags: bool) -> None:
    if not upload:
        raise BadInputError(
            "- is standard input, which only --server takes; `push -` pushes it from here"
        )
    if original_tags:
        raise BadInputError("--original-tags reads the tar twice; write it to a file, not to -")
    if len(tars) > 1:
        raise BadInputError("- is one tar; enqueue the others by themselves")


def _refuse_folders(requests: list[Request], why: str) -> None:
    for request in requests:
        if isinstance(request.source, Path) and request.source.is_dir():
            raise BadInputError(f"{request.source} is a folder; {why.format(request.source)}")


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise BadInputError(f"--label {text!r} is not NAME=VALUE")
    return name, value
