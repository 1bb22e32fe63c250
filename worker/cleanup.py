"""Deletes the sources of jobs that asked for it, once no other job needs them.

A job that has pushed everything leaves the jobs of its source before it is settled. The last one
deletes the file that it pushed, if it or another job that pushed the same file has asked for it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from push_queue.errors import UnknownJobError
from push_queue.job_sources import JobSources
from push_queue.jobs import Jobs
from push_queue.models import Assignment, JobState, JobStatus
from registry_api_v2_client import FileIdentity, SourceFile

from .source_roots import DELETED, delete_source, unread_source

NEEDED = "kept: another job needs it"

_DONE = (JobState.SUCCEEDED, JobState.SUPERSEDED)


class Cleanup:
    """Without ``roots`` nothing may be deleted, so it does nothing."""

    def __init__(self, jobs: Jobs, sources: JobSources, roots: Sequence[Path]) -> None:
        self._jobs = jobs
        self._sources = sources
        self._roots = roots

    async def after_push(self, assignment: Assignment, source: SourceFile) -> str | None:
        """The source of a job that is about to succeed. Returns the line for its status, if any."""
        if not self._roots:
            return None
        return await self._leave(
            assignment.job.id, assignment.job.cleanup, source.path, source.identity
        )

    async def after_end(self, job_id: str) -> None:
        """The source of a job that ended before it was read, mostly because it was superseded."""
        if not self._roots:
            return
        with suppress(UnknownJobError):
            job = await self._jobs.status(job_id)
            if job.state in _DONE and not job.cleanup_outcome:
                await self._after_end(job)

    async def _after_end(self, job: JobStatus) -> None:
        # Its place in the order is the time (µs) of its first enqueueing. A tar that came later,
        # even before a retry, has been pushed by no job.
        moment = min(job.sequence // 1000, round(job.enqueued_at.timestamp() * 1000))
        found = await asyncio.to_thread(unread_source, job.source, self._roots, moment)
        if outcome := await self._leave(job.id, job.cleanup, Path(job.source), found):
            await self._sources.note_cleanup(job.id, outcome)

    async def _leave(
        self, job_id: str, cleanup: bool, path: Path, file: FileIdentity | None
    ) -> str | None:
        mine = file if cleanup else None
        leave = await self._sources.leave(job_id, _shared(mine) if mine else None)
        if leave is None:
            return None
        if not leave.last:
            return NEEDED if cleanup else None
        if not (cleanup or leave.unwanted):
            return None

        def unwanted(found: FileIdentity) -> bool:
            return found == mine or _shared(found) in leave.unwanted

        outcome = await asyncio.to_thread(delete_source, path, self._roots, unwanted)
        return outcome if cleanup or outcome == DELETED else None


def _shared(file: FileIdentity) -> str:
    """A name for the file that is the same on all hosts. The device has a number on each."""
    return f"{file.inode} {file.size} {file.mtime_ns}"
