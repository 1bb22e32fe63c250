"""``push-queue enqueue``."""

from datetime import datetime, timedelta

import typer

from producer.cli.enqueue_options import (
    AtOption,
    CleanupOption,
    DelayOption,
    JobIdOption,
    LabelOption,
    MaxAttemptsOption,
    OrderedOption,
    OriginalTagsOption,
    PriorityOption,
    RegistryOption,
    RemotePathOption,
    TarsArgument,
    WaitOption,
)
from producer.cli.enqueue_order import Order, parse_label
from producer.cli.exit_code import ExitCode
from producer.cli.exits import BadInputError, code_of_jobs
from producer.cli.follow import follow, warn_if_idle
from producer.cli.options import (
    CompressionOption,
    GiveUpAfterOption,
    ImageOption,
    JsonArrayOption,
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
from producer.cli.requests import Request, tar_of
from producer.cli.signals import run
from producer.cli.times import duration, longest_wait, start_time
from producer.cli.views import SilentView, choose_view
from producer.cli.wording import headline
from producer.errors import NotAllEnqueuedError
from producer.job_description import PushOptions
from producer.queue import PushQueue
from producer.routed_queue import RoutedQueue
from push_queue.models.job_status import JobState, JobStatus

ENDED_BADLY = (JobState.FAILED, JobState.CANCELLED)

EXAMPLES = """
Examples:

    push-queue enqueue app.tar --to localhost:15000/app:1

    push-queue enqueue *.tar --original-tags --registry localhost:15000

    push-queue enqueue https://artifacts.example.com/app.tar --to localhost:15000/app:1

    docker save app | push-queue enqueue - --server http://localhost:15080 --to reg.example.com/a:1

Writes the id of each job on a line of its own; with --wait, how each ended.

Workers have to see the tar at the same path; with --server it is uploaded. A URL has to be
one that the workers' PUSH_QUEUE_SOURCE_URLS allows. If one of several tars is wrong, none is
enqueued.
"""


def enqueue(
    context: typer.Context,
    tars: TarsArgument,
    to: TargetsOption = None,
    original_tags: OriginalTagsOption = False,
    registry: RegistryOption = None,
    remote_path: RemotePathOption = False,
    image: ImageOption = None,
    platform: PlatformOption = None,
    compression: CompressionOption = "gzip",
    job_id: JobIdOption = None,
    priority: PriorityOption = "normal",
    delay: DelayOption = None,
    at: AtOption = None,
    ordered: OrderedOption = True,
    cleanup: CleanupOption = False,
    max_attempts: MaxAttemptsOption = None,
    give_up_after: GiveUpAfterOption = None,
    label: LabelOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    json: JsonArrayOption = False,
    server_url: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Enqueue image tars for pushing and return at once."""
    settings = settings_of(context)
    server = server_of(context, settings, server_url, token_file)
    order = Order(
        tars=[tar_of(text) for text in tars],
        targets=to or [],
        original_tags=original_tags,
        registry=registry,
        image=image,
        platform=platform,
        remote_path=remote_path,
        upload=server is not None and not remote_path,
        cleanup=cleanup,
        job_id=job_id,
    )
    requests = order.requests(settings)
    if timeout is not None and not wait:
        raise BadInputError("--timeout goes with --wait")
    options = PushOptions(
        job_id=job_id,
        compression=compression,
        priority=priority,
        ordered=ordered,
        cleanup=cleanup,
        max_attempts=max_attempts,
        give_up_after=duration("--give-up-after", give_up_after) if give_up_after else None,
        labels=dict(map(parse_label, label or [])),
    )
    start, most = start_time(delay, at), longest_wait(timeout)

    async def main() -> ExitCode:
        async with connected(settings, server) as queue:
            if isinstance(queue, (PushQueue, RoutedQueue)):
                jobs = await _enqueue(queue, requests, options, start)
            else:
                # Loaded here: what speaks to Redis needs no HTTP.
                from producer.cli.enqueue_remotely import enqueue_remotely

                jobs = await enqueue_remotely(
                    queue, settings, requests, options, start, upload=order.upload
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
