"""Keeps the queue in order. One worker at a time is the leader, and does this for all."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from push_queue.errors import RedisUnavailableError
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.store import Jobs
from push_queue.pauses import Pauses
from push_queue.redis.lease import Lease

from .orphaned_jobs import OrphanedJobs
from .periodic import Periodic
from .tag_repair import TagRepair

logger = logging.getLogger(__name__)

_INTERVAL = 1.0

Duty = Callable[[], Awaitable[object]]


def duties(
    queue: ArqQueue,
    jobs: Jobs,
    pauses: Pauses,
    tag_repair: TagRepair,
    orphaned_jobs: OrphanedJobs,
) -> dict[str, Duty]:
    """The duties of each round, by name."""
    return {
        "the order of the queue": queue.promote,
        "jobs that wait for workers": queue.tidy_due,
        "jobs that wait for registries": queue.release,
        "late writes of tags": tag_repair.work,
        "lost jobs": orphaned_jobs.work,
        "jobs that have expired": jobs.forget_expired,
        "pauses that are over": pauses.forget_past,
    }


class Housekeeper:
    """Every worker has one. It works while its worker holds the lease.

    ``problems`` holds current failures by duty. A problem is logged when it begins and when it
    ends.
    """

    def __init__(
        self, leadership: Lease, duties: Mapping[str, Duty], problems: dict[str, str]
    ) -> None:
        self._leadership = leadership
        self._duties = duties
        self._problems = problems
        self._rounds = Periodic(_INTERVAL, self._work_in_turn)

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()

    async def _work_in_turn(self) -> None:
        await self._guarded("who keeps house", self._work_if_leading)

    async def _work_if_leading(self) -> None:
        if await self._leadership.held():
            await self.work()

    async def work(self) -> None:
        """One round. A duty that fails does not stop the others."""
        for name, duty in self._duties.items():
            await self._guarded(name, duty)

    async def _guarded(self, name: str, duty: Duty) -> None:
        try:
            await duty()
        except RedisUnavailableError as error:
            if self._is_news(name, str(error)):
                logger.error("the queue is not looked after: %s: %s", name, error)
        except Exception as error:  # a duty's outermost frame; the next round tries it again
            if self._is_news(name, f"unexpected error: {type(error).__name__}"):
                logger.exception("the queue is not looked after: %s", name)
        else:
            if self._problems.pop(name, None):
                logger.info("the queue is looked after again: %s", name)

    def _is_news(self, name: str, problem: str) -> bool:
        known = self._problems.get(name)
        self._problems[name] = problem
        return problem != known
