"""Following jobs to their end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import typer

from producer.cli.output import warn
from producer.cli.signals import by_keyboard
from producer.cli.views import View
from producer.cli.wording import how_paused
from producer.errors import ServerUnavailableError
from push_queue.errors import RedisUnavailableError, WaitTimeoutError
from push_queue.models.job_status import BlobStatus, JobStatus

if TYPE_CHECKING:
    from producer.cli.queues import JobQueue

SECOND_SECONDS = 3.0
"""Seconds in which a second Ctrl-C cancels the jobs that the first one has left."""


class Followed(Protocol):
    """Where jobs run."""

    def watch(self, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
        """Every job's status now and at each change, until all of them are final."""

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """The progress of each blob of the job."""


async def follow(
    jobs: Followed,
    job_ids: list[str],
    view: View,
    *,
    timeout: timedelta | None = None,
    owner: "JobQueue | None" = None,
) -> list[JobStatus]:
    """Show the jobs until all are final and return them in this order.

    Without ids it shows all unfinished jobs, and does not end. When a signal ends it, it names the
    jobs of ``owner`` that continue. After Ctrl-C, a second Ctrl-C cancels them. When ``owner``
    stays away, it says how to follow them again.

    Raises:
        WaitTimeoutError: some are not final after ``timeout``; they go on.
        RedisUnavailableError, ServerUnavailableError: it stays away.
    """
    latest: dict[str, JobStatus] = {}

    def unfinished() -> list[str]:
        return [one for one in job_ids if one not in latest or not latest[one].state.final]

    try:
        async with asyncio.timeout(timeout.total_seconds() if timeout else None):
            with view:
                async with aclosing(jobs.watch(*job_ids)) as changes:
                    async for job in changes:
                        latest[job.id] = job
                        view.show(job, await jobs.blobs(job.id) if view.wants_blobs else ())
    except TimeoutError:
        raise WaitTimeoutError(
            f"--timeout is over; these jobs go on: {', '.join(unfinished())}"
            if job_ids
            else "--timeout is over"
        ) from None
    except asyncio.CancelledError:
        if owner:
            await _leave(owner, unfinished())
        raise
    except (RedisUnavailableError, ServerUnavailableError):
        if owner:
            _tell(f"to follow again what was enqueued: push-queue watch {' '.join(unfinished())}")
        raise
    return [latest[job_id] for job_id in job_ids]


async def _leave(queue: "JobQueue", job_ids: list[str]) -> None:
    """Say which jobs go on, and cancel them on a second Ctrl-C."""
    for job_id in job_ids:
        _tell(f"job {job_id} goes on; to stop it: push-queue cancel {job_id}")
    if not (job_ids and by_keyboard()):
        return
    _tell("press Ctrl-C again to cancel")
    try:
        await asyncio.sleep(SECOND_SECONDS)
    except asyncio.CancelledError:
        typer.echo(err=True)  # behind the ^C that the terminal echoes
        for job_id in job_ids:
            state = await queue.cancel(job_id)
            _tell(f"job {job_id}: {state if state.final else 'its worker was asked to stop'}")


def _tell(what: str) -> None:
    with suppress(OSError):  # After SIGHUP the terminal may be gone.
        typer.echo(f"push-queue: {what}", err=True)


async def warn_if_idle(queue: "JobQueue") -> None:
    """Warn if there is no worker, or none takes jobs."""
    if not await queue.workers():
        warn("no worker is running; jobs wait until one is started (push-worker)")
    await warn_if_paused(queue)


async def warn_if_paused(queue: "JobQueue") -> None:
    """Say that the queue is paused, so that nobody wonders why nothing happens."""
    if pause := await queue.paused():
        warn(f"the queue {how_paused(pause)}; jobs wait until `push-queue resume`")
