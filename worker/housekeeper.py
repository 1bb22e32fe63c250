"""Keeps the queue in order: one worker at a time puts jobs in their place and finds lost ones."""

import asyncio
import logging

from push_queue import (
    Dispatch,
    JobState,
    JobStore,
    Leadership,
    RedisUnavailableError,
    UnknownJobError,
)

from .tag_repair import TagRepair

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
_SEARCHED = (JobState.RUNNING, JobState.RETRYING, JobState.QUEUED)
_PAGE = 500
"""Jobs of each state looked at in a round; with 100,000 queued ones all are seen in three minutes
and a half."""


class Housekeeper:
    """Every worker has one; the one that leads works."""

    def __init__(
        self,
        dispatch: Dispatch,
        store: JobStore,
        leadership: Leadership,
        tag_repair: TagRepair,
    ) -> None:
        self._dispatch = dispatch
        self._store = store
        self._leadership = leadership
        self._tag_repair = tag_repair
        self._positions = dict.fromkeys(_SEARCHED, 0)
        self._suspects: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_house())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._tag_repair.stop()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                if await self._leadership.held():
                    await self.work()
            except RedisUnavailableError as error:
                logger.warning("the queue is not looked after: %s", error)

    async def work(self) -> None:
        """One round."""
        await self._dispatch.promote()
        await self._dispatch.release()
        await self._tag_repair.work()
        suspects = {job_id for state in _SEARCHED for job_id in await self._next_orphans(state)}
        # Seen twice, since a job that is just being enqueued or finished looks lost for a moment.
        for job_id in suspects & self._suspects:
            await self._recover(job_id)
        self._suspects = suspects

    async def _next_orphans(self, state: JobState) -> list[str]:
        position = self._positions[state]
        seen, orphans = await self._dispatch.orphans(state, position, _PAGE)
        # A page with orphans is looked at once more, which makes sure of them.
        if self._suspects.issuperset(orphans):
            self._positions[state] = position + seen if seen == _PAGE else 0
        return orphans

    async def _recover(self, job_id: str) -> None:
        try:
            job = await self._store.status(job_id)
        except UnknownJobError:
            return
        if not job.state.final:
            await self._dispatch.hand_over(job)
            logger.warning("job %s was %s, but not in the queue: enqueued anew", job_id, job.state)
