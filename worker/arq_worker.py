"""arq's worker, made to survive failures of Redis.

In arq, an error of Redis outside a job ends the worker, for instance if Redis is full when a try is
counted. Here the worker continues, and the job runs again after its lease. A worker ends only if it
is denied login or permissions, since waiting does not help. arq takes jobs that are due by its
host's clock. Here it is Redis' clock, which all workers share.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from signal import Signals
from typing import Any

from arq.worker import Worker
from redis.exceptions import RedisError

from push_queue.ending_signals import heeded
from push_queue.errors import DrainedError, RedisDeniedError, RedisUnavailableError
from push_queue.redis.keys import Keys

from .log_context import log_job

logger = logging.getLogger(__name__)

_MOST_LOOKS = 400
"""How often a second the idle workers of a fleet may look for jobs, all together."""
_LONGEST_PAUSE = 1.0
_SHARE_SECONDS = 0.005
"""The pause between two takes, so that other workers get their share."""


class QueueWorker(Worker):
    """``on_hand_back`` is called when the worker has told its jobs to stop."""

    def __init__(self, *, keys: Keys, on_hand_back: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._keys = keys
        self._stopping = self._handed_back = self._drained = False
        self._looks_at = 0.0
        self._trouble: str | None = None
        self._trouble_since = 0.0
        self.on_stop = lambda _: on_hand_back()
        # arq leaves out what a terminal sends that is closed.
        if self._handle_signals and Signals.SIGHUP in heeded():
            self._add_signal_handler(Signals.SIGHUP, self.handle_sig_wait_for_completion)

    async def _poll_iteration(self) -> None:
        has_room = self.allow_pick_jobs and self.job_counter < self.max_jobs
        if has_room and time.monotonic() >= self._looks_at:
            await self._take_jobs()
        for arq_id, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[arq_id]
                task.result()
        if self._drained and not self.tasks:
            self.handle_sig(Signals.SIGTERM)
        await self.heart_beat()

    async def _take_jobs(self) -> None:
        """Take jobs while there are any and this worker has room: one at first, then twice as many.

        So idle workers share a handful of jobs, and a long queue is not held up.
        """
        most = 1
        while room := self.max_jobs - self.job_counter:
            wanted = min(most, room)
            taken = await self._take(wanted)
            for arq_id, score in taken:
                self._start(arq_id, score)
            if len(taken) < wanted or not self.allow_pick_jobs:
                fleet = self.ctx["runtime"].presence.fleet
                self._looks_at = time.monotonic() + pause_before_look(fleet)
                return
            await asyncio.sleep(_SHARE_SECONDS)
            most *= 2

    async def _take(self, most: int) -> list[tuple[str, int]]:
        runtime = self.ctx["runtime"]
        try:
            taken: list[tuple[str, int]] = await runtime.queue.take(
                most, runtime.settings.lease_seconds, runtime.worker_id
            )
        except DrainedError as reason:
            logger.info("%s; it ends once those that it has are done", reason)
            self.allow_pick_jobs, self._drained = False, True
            return []
        except RedisUnavailableError as error:
            self._bear(error, runtime.settings.lease_seconds)
            return []
        if self._trouble:
            logger.warning("takes jobs again")
            self._trouble = None
        return taken

    def _bear(self, error: RedisUnavailableError, lease_seconds: int) -> None:
        """Continue without taking jobs. After a whole lease of denials, all jobs here are lost.

        Raises:
            RedisDeniedError: it was denied for so long.
        """
        now = time.monotonic()
        if str(error) != self._trouble:
            self._trouble, self._trouble_since = str(error), now
            logger.warning("cannot take jobs: %s", error)
        elif isinstance(error, RedisDeniedError) and now - self._trouble_since > lease_seconds:
            self.handle_sig(Signals.SIGTERM)
            raise error

    def _start(self, arq_id: str, score: int) -> None:
        # After an outage of Redis the lease of a job that still runs here may have run out.
        if arq_id not in self.tasks or self.tasks[arq_id].done():
            self.job_counter += 1
            task = self.tasks[arq_id] = self.loop.create_task(self.run_job(arq_id, score))
            task.add_done_callback(self._free_slot)

    def _free_slot(self, _: asyncio.Task[None]) -> None:
        self.job_counter -= 1

    async def run_job(self, job_id: str, score: int) -> None:
        with log_job(self._keys.job_of(job_id)):
            try:
                await super().run_job(job_id, score)
            except RedisError as error:
                _not_ended(error)
            except asyncio.CancelledError:
                # It was stopped while it waited for Redis. Raising this would end the worker.
                logger.warning("stopped while it waited for Redis; it runs again after its lease")

    # arq goes on with these also if the job is stopped meanwhile. Then nobody hears of an error.

    async def finish_job(self, *outcome: Any) -> None:
        try:
            await super().finish_job(*outcome)
        except RedisError as error:
            _not_ended(error)

    async def finish_failed_job(self, *outcome: Any) -> None:
        try:
            await super().finish_failed_job(*outcome)
        except RedisError as error:
            _not_ended(error)

    async def close(self) -> None:
        """Wait for the jobs.

        arq treats a job that was stopped before it began as an error. Here it runs again after its
        lease.
        """
        if self.tasks:
            await asyncio.wait(self.tasks.values())
        self.tasks = {arq_id: task for arq_id, task in self.tasks.items() if not task.cancelled()}
        await super().close()

    async def heart_beat(self) -> None:
        try:
            await super().heart_beat()
        except RedisError as error:
            logger.warning("cannot record the worker's health: %s", error)

    def handle_sig_wait_for_completion(self, signum: Signals) -> None:
        """The first signal gives jobs the grace period to finish, the second stops them at once."""
        if self._stopping:
            self.handle_sig(signum)
        else:
            self._stopping = True
            super().handle_sig_wait_for_completion(signum)

    def handle_sig(self, signum: Signals) -> None:
        """Only the first: another signal would cancel jobs while they are being handed back."""
        if not self._handed_back:
            self._handed_back = True
            super().handle_sig(signum)


def _not_ended(error: RedisError) -> None:
    logger.warning("%s; it runs again after its lease", error)


def pause_before_look(fleet: int) -> float:
    """Seconds until an idle worker of a fleet of that size looks for jobs again, at least.

    The more workers look, the sooner one of them sees a job. So each may look less often, and the
    load on Redis does not grow with the fleet.
    """
    return random.uniform(0.5, 1.5) * min(fleet / _MOST_LOOKS, _LONGEST_PAUSE)
