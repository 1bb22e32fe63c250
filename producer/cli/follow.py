"""Following jobs to their end."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from typing import Protocol

import typer

from producer.cli.views import View
from producer.queue import PushQueue
from push_queue import BlobStatus, JobStatus


class Followed(Protocol):
    """Where jobs run."""

    def watch(self, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
        """Every job's status now and at each change, until all of them are final."""

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """How far each blob of the job is."""


async def follow(
    jobs: Followed, job_ids: list[str], view: View, *, outlived: bool = False
) -> list[JobStatus]:
    """Show the jobs until all are final and return them in this order.

    Without ids it shows whatever runs, and does not end. A command that is ``outlived`` by jobs
    that it has enqueued says so when a signal ends it.
    """
    latest: dict[str, JobStatus] = {}
    try:
        with view:
            async with aclosing(jobs.watch(*job_ids)) as changes:
                async for job in changes:
                    latest[job.id] = job
                    view.show(job, await jobs.blobs(job.id) if view.wants_blobs else ())
    except asyncio.CancelledError:
        if outlived:
            final = {job.id for job in latest.values() if job.state.final}
            _tell_what_goes_on(job_id for job_id in job_ids if job_id not in final)
        raise
    return [latest[job_id] for job_id in job_ids]


def _tell_what_goes_on(job_ids: Iterable[str]) -> None:
    with suppress(OSError):  # After SIGHUP the terminal may be gone.
        for job_id in job_ids:
            typer.echo(
                f"push-queue: job {job_id} goes on; to stop it: push-queue cancel {job_id}",
                err=True,
            )


async def warn_without_workers(queue: PushQueue) -> None:
    """Say so when nobody is there to do the work."""
    if not await queue.workers():
        typer.echo(
            "push-queue: warning: no worker is running; jobs wait until one is started "
            "(push-worker)",
            err=True,
        )
