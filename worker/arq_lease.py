"""The lease of a running job: unless it is renewed, the job runs elsewhere.

arq marks a running job with an in-progress key that lives as long as the longest job may run. A
crashed worker's job would be stuck for that long. Besides, running jobs fill the head of the queue,
where arq reads. Here the key lives for one lease, and the job's score in the queue is the end of
the lease. Both are renewed while the job runs. In the end the job is put back where it was, or
postponed. arq would give it a score that depends on this host's clock.
"""

import logging
from collections.abc import Awaitable
from typing import Any

from push_queue.errors import RedisUnavailableError
from push_queue.jobs.arq_queue import ArqQueue

from .periodic import renewals

logger = logging.getLogger(__name__)


class ArqLease:
    """The lease of one running job, by arq's id."""

    def __init__(self, queue: ArqQueue, arq_id: str, score: int, seconds: int) -> None:
        self._queue = queue
        self._arq_id = arq_id
        self._score = score
        self._seconds = seconds
        self._delay: float | None = None
        self._renewals = renewals(seconds, self._renew)
        self._lost = False

    async def take(self) -> None:
        await self._renew()
        self._renewals.start()

    def put_off(self, seconds: float) -> None:
        """Postpone the job by ``seconds`` when it is given back."""
        self._delay = seconds

    async def give_back(self) -> None:
        await self._renewals.stop()
        if self._lost:
            return
        # arq deletes the in-progress key right after.
        if self._delay is None:
            await self._write(self._queue.give_back(self._arq_id, self._score))
        else:
            held = self._queue.hold(self._arq_id, self._delay, self._seconds)
            await self._write(held)

    async def lose(self) -> None:
        """The job runs elsewhere by now, so its place in the queue is another worker's."""
        await self._renewals.stop()
        self._lost = True

    async def _renew(self) -> None:
        await self._write(self._queue.renew(self._arq_id, self._score, self._seconds))

    async def _write(self, command: Awaitable[None]) -> None:
        # An exception in an arq hook would end the worker. The lease is renewed the next time, or
        # it expires, as it should.
        try:
            await command
        except RedisUnavailableError as error:
            logger.warning("cannot renew the lease: %s", error)


async def take_lease(ctx: dict[str, Any]) -> None:
    """arq's hook ``on_job_start``."""
    runtime = ctx["runtime"]
    lease = ArqLease(runtime.queue, ctx["job_id"], ctx["score"], runtime.settings.lease_seconds)
    ctx["lease"] = lease
    await lease.take()


async def give_lease_back(ctx: dict[str, Any]) -> None:
    """arq's hook ``on_job_end``."""
    await ctx["lease"].give_back()
