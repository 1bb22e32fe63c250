"""Following jobs to their end."""

import typer

from producer.cli.views import View
from producer.queue import PushQueue
from push_queue import JobStatus


async def follow(queue: PushQueue, job_ids: list[str], view: View) -> list[JobStatus]:
    """Show the jobs until all are final and return them in this order.

    Without ids it shows whatever runs, and does not end.
    """
    latest: dict[str, JobStatus] = {}
    with view:
        async for job in queue.watch(*job_ids):
            latest[job.id] = job
            view.show(job, await queue.blobs(job.id) if view.wants_blobs else ())
    return [latest[job_id] for job_id in job_ids]


async def warn_without_workers(queue: PushQueue) -> None:
    """Say so when nobody is there to do the work."""
    if not await queue.workers():
        typer.echo(
            "push-queue: warning: no worker is running; jobs wait until one is started "
            "(push-worker)",
            err=True,
        )
