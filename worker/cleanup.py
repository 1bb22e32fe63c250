"""Deletes the sources of jobs that asked for it, once no other job needs them.

A job that has pushed everything is removed from the jobs of its source before it is settled. The
last one deletes the file that it pushed, if it or another job that pushed the same file has asked
for that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from push_queue.errors import UnknownJobError
from push_queue.jobs.sources import DELETED, JobSources
from push_queue.jobs.store import Jobs
from push_queue.models.assignments import Assignment
from push_queue.models.job import PushJob
from push_queue.models.job_status import JobState, JobStatus
from push_queue.models.uploads import upload_id_of
from push_queue.settings import Settings
from registry_api_v2_client import (
    FileIdentity,
    Source,
    SourceFile,
    SourceFolder,
    SourceNotAllowedError,
)

from .remote_uploads import RemoteUploads
from .source_roots import (
    Place,
    delete_source,
    place_of,
    unread_source,
)

NEEDED = "kept: another job needs it"

_UPLOAD = "upload"
"""The name of any upload: there is never another one at its place."""

_DONE = (JobState.SUCCEEDED, JobState.SUPERSEDED)


class Cleanup:
    """Where there are no roots nothing may be deleted, so it does nothing."""

    def __init__(
        self,
        jobs: Jobs,
        sources: JobSources,
        settings: Settings,
        uploads: RemoteUploads | None = None,
    ) -> None:
        self._jobs = jobs
        self._sources = sources
        self._settings = settings
        self._uploads = uploads

    async def after_push(self, assignment: Assignment, source: Source) -> str | None:
        """Delete the source of a job that is about to succeed, if it may. Returns what happened."""
        job = assignment.job
        if self._is_remote(job):
            return await self._leave_upload(job)
        if not isinstance(source, SourceFile | SourceFolder):
            return None
        _, roots = place_of(job.source, self._settings)
        if not roots:
            return None
        return await self._leave_file(job, Place(str(source.path), roots), source.identity)

    async def after_end(self, job_id: str) -> None:
        """The same for a job that ended before it read its source, mostly as it was superseded."""
        if not (self._settings.source_roots or self._settings.spool or self._uploads):
            return
        # Without a spool or its server, an upload is another worker's.
        with suppress(UnknownJobError, SourceNotAllowedError):
            job = await self._jobs.status(job_id)
            ended = job.state in _DONE and not job.cleanup_outcome
            if ended and (outcome := await self._after_end(job)):
                await self._sources.note_cleanup(job.id, outcome)

    async def _after_end(self, job: JobStatus) -> str | None:
        if self._is_remote(job):
            return await self._leave_upload(job)
        place = place_of(job.source, self._settings)
        if not place.roots:
            return None
        # Its place in the order is the time (µs) of its first enqueueing. No job has pushed a tar
        # that came later, even before a retry.
        moment = min(job.sequence // 1000, round(job.enqueued_at.timestamp() * 1000))
        found = await asyncio.to_thread(unread_source, *place, moment)
        return await self._leave_file(job, place, found)

    def _is_remote(self, job: PushJob) -> bool:
        return self._uploads is not None and upload_id_of(job.source) is not None

    async def _leave_upload(self, job: PushJob) -> str | None:
        uploads = self._uploads
        assert uploads
        return await self._leave(job, _UPLOAD, lambda _: uploads.delete(job.source))

    async def _leave_file(
        self, job: PushJob, place: Place, file: FileIdentity | None
    ) -> str | None:
        async def delete(unwanted: Collection[str]) -> str:
            mine = file if job.cleanup else None
            return await asyncio.to_thread(
                delete_source,
                *place,
                lambda found: found == mine or bool({_shared(found), _UPLOAD} & {*unwanted}),
            )

        if file is None:
            return await self._leave(job, None, delete)
        name = _UPLOAD if upload_id_of(job.source) else _shared(file)
        return await self._leave(job, name, delete)

    async def _leave(
        self, job: PushJob, name: str | None, delete: Callable[[Collection[str]], Awaitable[str]]
    ) -> str | None:
        """Leave the source, by its ``name`` for the last job to delete; the last one deletes it."""
        leave = await self._sources.leave(job.id, name if job.cleanup else None)
        if leave is None:
            return None
        if not leave.last:
            return NEEDED if job.cleanup else None
        if not (job.cleanup or leave.unwanted):
            return None
        outcome = await delete(leave.unwanted)
        return outcome if job.cleanup or outcome == DELETED else None


def _shared(file: FileIdentity) -> str:
    """A name for the file that is the same on all hosts. Device numbers differ between hosts."""
    return f"{file.inode} {file.size} {file.mtime_ns}"
