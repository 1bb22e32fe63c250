"""Jobs at each of their changes."""

from collections.abc import AsyncGenerator, Sequence

from push_queue.jobs.store import Jobs
from push_queue.models.job_status import JobState, JobStatus

POLL_SECONDS = 2.0
"""How often a watched job is read even without a message: messages may be lost."""

WATCHED = {JobState.RUNNING: 1000, JobState.RETRYING: 1000, JobState.QUEUED: 50}
"""States of the jobs that are watched where none is named, and how many of each at most."""


async def watch_jobs(jobs: Jobs, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
    """Every job's status now and at each change; see :meth:`producer.queue.PushQueue.watch`."""
    seen: dict[str, JobStatus] = {}
    async with jobs.changes(*job_ids) as changes:
        batch = await (_named(jobs, job_ids) if job_ids else _active(jobs))
        while True:
            for status in batch:
                if seen.get(status.id) != status:
                    seen[status.id] = status
                    yield status
                    if status.state.final and not job_ids:
                        del seen[status.id]
            unfinished = [job_id for job_id in job_ids if not seen[job_id].state.final]
            if job_ids and not unfinished:
                return
            changed = await changes.next(POLL_SECONDS)
            if job_ids:
                batch = await _named(jobs, [changed] if changed else unfinished)
            elif changed:
                # It may be purged by now, which nobody who watches all jobs waits for.
                batch = list((await jobs.look_up([changed])).values())
            else:
                batch = await _active(jobs)


async def _named(jobs: Jobs, job_ids: Sequence[str]) -> list[JobStatus]:
    return [await jobs.status(job_id) for job_id in job_ids]


async def _active(jobs: Jobs) -> list[JobStatus]:
    """The jobs that are watched where none is named."""
    pages = [await jobs.statuses(state, limit=most) for state, most in WATCHED.items()]
    return [job for page in pages for job in page]
