"""Deletes the sources of jobs that asked for it, once no other job needs them.

A job that has pushed everything is removed from the jobs of its source before it is settled. The
last one deletes the file that it pushed, if it or another job that pushed the same file has asked
for that.
"""

import asyncio
from contextlib import suppress

from push_queue.errors import UnknownJobError
from push_queue.job_sources import JobSources
from push_queue.jobs import Jobs
from push_queue.models import Assignment, JobState, JobStatus, PushJob
from push_queue.settings import Settings
from registry_api_v2_client import (
    FileIdentity,
    SourceFile,
    SourceFolder,
    SourceNotAllowedError,
)

from .source_roots import (
    DELETED,
    Place,
    delete_source,
    place_of,
    unread_source,
)

NEEDED = "kept: another job needs it"

_DONE = (JobState.SUCCEEDED, JobState.SUPERSEDED)


class Cleanup:
    """Where there are no roots nothing may be deleted, so it does nothing."""

    def __init__(self, jobs: Jobs, sources: JobSources, settings: Settings) -> None:
        self._jobs = jobs
        self._sources = sources
        self._settings = settings

    async def after_push(
        self, assignment: Assignment, source: SourceFile | SourceFolder
    ) -> str | None:
        """Delete the source of a job that is about to succeed, if it may. Returns what happened."""
        job = assignment.job
        _, roots = place_of(job.source, self._settings)
        if not roots:
            return None
        return await self._leave(job, Place(str(source.path), roots), source.identity)

    async def after_end(self, job_id: str) -> None:
        """The same for a job that ended before it read its source, mostly as it was superseded."""
        if not (self._settings.source_roots or self._settings.spool):
            return
        # Without a spool, an upload is another worker's.
        with suppress(UnknownJobError, SourceNotAllowedError):
            job = await self._jobs.status(job_id)
            if job.state in _DONE and not job.cleanup_outcome:
                await self._after_end(job, place_of(job.source, self._settings))

    async def _after_end(self, job: JobStatus, place: Place) -> None:
        if not place.roots:
            return
        # Its place in the order is the time (µs) of its first enqueueing. No job has pushed a tar
        # that came later, even before a retry.
        moment = min(job.sequence // 1000, round(job.enqueued_at.timestamp() * 1000))
        found = await asyncio.to_thread(unread_source, *place, moment)
        if outcome := await self._leave(job, place, found):
            await self._sources.note_cleanup(job.id, outcome)

    async def _leave(self, job: PushJob, place: Place, file: FileIdentity | None) -> str | None:
        mine = file if job.cleanup else None
        leave = await self._sources.leave(job.id, _shared(mine) if mine else None)
        if leave is None:
            return None
        if not leave.last:
            return NEEDED if job.cleanup else None
        if not (job.cleanup or leave.unwanted):
            return None

        def unwanted(found: FileIdentity) -> bool:
            return found == mine or _shared(found) in leave.unwanted

        outcome = await asyncio.to_thread(delete_source, *place, unwanted)
        return outcome if job.cleanup or outcome == DELETED else None


def _shared(file: FileIdentity) -> str:
    """A name for the file that is the same on all hosts. Device numbers differ between hosts."""
    return f"{file.inode} {file.size} {file.mtime_ns}"
