"""Finds orphans, unfinished jobs that arq has lost, and enqueues them again."""

import logging

from push_queue.errors import RedisRefusedError, UnknownJobError
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.records import JobRecords
from push_queue.jobs.store import Jobs
from push_queue.models.job_status import JobState

logger = logging.getLogger(__name__)

_SEARCHED = (JobState.RUNNING, JobState.RETRYING, JobState.QUEUED)
_PAGE = 500
"""Jobs of each state that one round looks at. Looking at 100,000 takes three and a half minutes."""


class OrphanedJobs:
    """A duty of the leading worker."""

    def __init__(self, queue: ArqQueue, jobs: Jobs, records: JobRecords) -> None:
        self._queue = queue
        self._jobs = jobs
        self._records = records
        self._positions = dict.fromkeys(_SEARCHED, 0)
        self._suspects: set[str] = set()

    async def work(self) -> None:
        """Look at the next page of each state, and enqueue the jobs that are lost there."""
        suspects = {job_id for state in _SEARCHED for job_id in await self._next_orphans(state)}
        # Only if seen twice: a job that is being enqueued or settled looks lost for a moment.
        lost, self._suspects = suspects & self._suspects, suspects
        refused = None
        for job_id in lost:
            try:
                await self._recover(job_id)
            except RedisRefusedError as error:  # try the others first
                refused = error
        if refused:
            raise refused

    async def _next_orphans(self, state: JobState) -> list[str]:
        position = self._positions[state]
        seen, orphans = await self._queue.orphans(state, position, _PAGE)
        # A page with new orphans is looked at again, to confirm them.
        if self._suspects.issuperset(orphans):
            self._positions[state] = position + seen if seen == _PAGE else 0
        return orphans

    async def _recover(self, job_id: str) -> None:
        if await self._records.end_if_unreadable(job_id):
            return
        try:
            job = await self._jobs.status(job_id)
        except UnknownJobError:
            return
        if not job.state.final:
            await self._queue.hand_over(job)
            logger.warning(
                "was %s, but not in the queue: it is enqueued again",
                job.state,
                extra={"job": job_id},
            )
