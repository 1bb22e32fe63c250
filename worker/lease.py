"""A job's lease: the time after which it runs elsewhere if this worker is not heard of.

arq marks a running job with an in-progress key that lives as long as the longest job may run, so
a crashed worker's job would be stuck for that long; and running jobs fill the head of the queue,
which arq reads from the top. Here the key lives for one lease, and the job's place in the queue is
moved to the end of it. Both are renewed while the job runs. ``on_job_end`` puts the original score
back, on which arq's arithmetic for ``Retry`` builds.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

Hook = Callable[[dict[str, Any]], Awaitable[None]]

_RENEWALS = 3
"""Times that a lease is renewed before it would run out."""


class Lease:
    """The lease of one running job, by arq's id."""

    def __init__(self, redis: ArqRedis, queue: str, arq_id: str, score: int, seconds: int) -> None:
        self._redis = redis
        self._queue = queue
        self._arq_id = arq_id
        self._score = score
        self._seconds = seconds
        self._renewal: asyncio.Task[None] | None = None
        self._lost = False

    async def take(self) -> None:
        await self._renew()
        self._renewal = asyncio.create_task(self._keep())

    async def give_back(self) -> None:
        await self._stop_renewing()
        # Whatever the outcome, arq deletes the in-progress key right after.
        if not self._lost:
            await self._write(self._redis.zadd(self._queue, {self._arq_id: self._score}, xx=True))

    async def lose(self) -> None:
        """The job runs elsewhere by now: its place in the queue is another worker's to keep."""
        await self._stop_renewing()
        self._lost = True

    async def _stop_renewing(self) -> None:
        if self._renewal:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
            self._renewal = None

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / _RENEWALS)
            await self._renew()

    async def _renew(self) -> None:
        end = int((time.time() + self._seconds) * 1000)
        async with self._redis.pipeline(transaction=False) as pipe:
            # Written rather than prolonged: a worker that had lost this job to us deletes the key
            # when it notices.
            pipe.psetex(in_progress_key_prefix + self._arq_id, self._seconds * 1000, b"1")
            pipe.zadd(self._queue, {self._arq_id: end}, xx=True)
            await self._write(pipe.execute())

    async def _write(self, command: Awaitable[Any]) -> None:
        # An exception out of an arq hook ends the worker. A lease that could not be renewed is
        # renewed the next time, or runs out, which is what it is for.
        try:
            await command
        except RedisError as error:
            logger.warning("cannot renew the lease of %s: %s", self._arq_id, error)


def lease_hooks(queue: str, seconds: int) -> tuple[Hook, Hook]:
    """``on_job_start`` and ``on_job_end`` for arq's worker."""

    async def on_job_start(ctx: dict[str, Any]) -> None:
        lease = Lease(ctx["redis"], queue, ctx["job_id"], ctx["score"], seconds)
        ctx["lease"] = lease
        await lease.take()

    async def on_job_end(ctx: dict[str, Any]) -> None:
        await ctx["lease"].give_back()

    return on_job_start, on_job_end
