"""Jobs that cannot run again, since what they pushed is gone."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from push_queue.errors import SourceGoneError
from push_queue.jobs.sources import DELETED, GONE
from push_queue.models.job_status import JobStatus
from push_queue.models.uploads import tar_of, upload_id_of
from push_queue.settings import Settings


class GoneSources:
    """Tells from records of jobs, and from what this machine sees of files and of the spool."""

    def __init__(self, settings: Settings) -> None:
        self._spool = settings.spool

    async def check(self, job: JobStatus) -> None:
        """Have a final job that could only fail stay as it is.

        Raises:
            SourceGoneError: its source is gone.
        """
        if job.state.final and not await self.without([job]):
            advice = "upload it again" if upload_id_of(job.source) else "write it there again"
            raise SourceGoneError(
                f"job {job.id} cannot run again, as {job.source} is deleted; {advice}, and enqueue "
                "a new job"
            )

    async def without(self, jobs: Sequence[JobStatus]) -> tuple[JobStatus, ...]:
        """Those of the jobs whose source may be there."""
        return await asyncio.to_thread(lambda: tuple(job for job in jobs if not self._is_gone(job)))

    def _is_gone(self, job: JobStatus) -> bool:
        deleted = job.cleanup_outcome in (DELETED, GONE)
        upload_id = upload_id_of(job.source)
        if upload_id is None:
            # Another tar may have come to the same place.
            return deleted and not Path(job.source).exists()
        return deleted or bool(self._spool and not tar_of(self._spool, upload_id).exists())
