"""Keeps the queue in order: one worker at a time puts jobs in their place and finds lost ones."""

import logging
from collections.abc import Awaitable, Callable

from push_queue import (
    ArqQueue,
    JobRecords,
    Jobs,
    JobState,
    Lease,
    RedisRefusedError,
    RedisUnavailableError,
    UnknownJobError,
)

from .periodic import Periodic
from .tag_repair import TagRepair

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
_SEARCHED = (JobState.RUNNING, JobState.RETRYING, JobState.QUEUED)
_PAGE = 500
"""Jobs of each state looked at in a round; with 100,000 queued ones all are seen in three minutes
and a half."""


class Housekeeper:
    """Every worker has one; the one that leads works.

    ``problems`` says what fails just now, by duty; each is logged when it begins and when it ends.
    """

    def __init__(
        self,
        queue: ArqQueue,
        jobs: Jobs,
        records: JobRecords,
        leadership: Lease,
        tag_repair: TagRepair,
        problems: dict[str, str],
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._records = records
        self._leadership = leadership
        self._tag_repair = tag_repair
        self._problems = problems
        self._duties: dict[str, Callable[[], Awaitable[object]]] = {
            "the order of the queue": queue.promote,
            "jobs that wait for registries": queue.release,
            "late writes of tags": tag_repair.work,
            "lost jobs": self._recover_lost,
        }
        self._positions = dict.fromkeys(_SEARCHED, 0)
        self._suspects: set[str] = set()
        self._rounds = Periodic(_INTERVAL, self._work_in_turn)

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()
        await self._tag_repair.stop()

    async def _work_in_turn(self) -> None:
        await self._guarded("who keeps house", self._work_if_leading)

    async def _work_if_leading(self) -> None:
        if await self._leadership.held():
            await self.work()

    async def work(self) -> None:
        """One round. A duty that fails costs the others nothing."""
        for name, duty in self._duties.items():
            await self._guarded(name, duty)

    async def _guarded(self, name: str, duty: Callable[[], Awaitable[object]]) -> None:
        try:
            await duty()
        except RedisUnavailableError as error:
            if self._is_news(name, str(error)):
                logger.error("the queue is not looked after: %s: %s", name, error)
        except Exception as error:  # a duty's outermost frame: the next round tries again
            if self._is_news(name, f"unexpected error: {type(error).__name__}"):
                logger.exception("the queue is not looked after: %s", name)
        else:
            if self._problems.pop(name, None):
                logger.info("the queue is looked after again: %s", name)

    def _is_news(self, name: str, problem: str) -> bool:
        known = self._problems.get(name)
        self._problems[name] = problem
        return problem != known

    async def _recover_lost(self) -> None:
        suspects = {job_id for state in _SEARCHED for job_id in await self._next_orphans(state)}
        # Seen twice, since a job that is just being enqueued or finished looks lost for a moment.
        lost, self._suspects = suspects & self._suspects, suspects
        refused = None
        for job_id in lost:
            try:
                await self._recover(job_id)
            except RedisRefusedError as error:  # the others first
                refused = error
        if refused:
            raise refused

    async def _next_orphans(self, state: JobState) -> list[str]:
        position = self._positions[state]
        seen, orphans = await self._queue.orphans(state, position, _PAGE)
        # A page with orphans is looked at once more, which makes sure of them.
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
            logger.warning("job %s was %s, but not in the queue: enqueued anew", job_id, job.state)
