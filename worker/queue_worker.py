"""arq's worker, made to outlive Redis failures.

arq lets an error of Redis outside of a job end the worker: a connection that breaks while it looks
whether a job is taken, a Redis that is full when it counts a try. Here such a job is left to its
lease, which runs out, and the worker goes on.
"""

import asyncio
import logging
from collections.abc import Callable
from signal import Signals
from typing import Any

from arq.worker import Worker
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class QueueWorker(Worker):
    """``on_hand_back`` is called when the worker has told its jobs to stop."""

    def __init__(self, *, on_hand_back: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._stopping = self._handed_back = False
        self.on_stop = lambda _: on_hand_back()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        # After an outage of Redis a job's lease may have run out while it runs here.
        ours = {job_id.encode() for job_id, task in self.tasks.items() if not task.done()}
        try:
            await super().start_jobs([job_id for job_id in job_ids if job_id not in ours])
        except RedisError as error:
            # It happened while arq looked at one job, for which it had taken a slot.
            self.job_counter -= 1
            self.sem.release()
            logger.warning("cannot start jobs: %s", error)

    async def run_job(self, job_id: str, score: int) -> None:
        try:
            await super().run_job(job_id, score)
        except RedisError as error:
            logger.warning("%s: %s; it runs again after its lease", job_id, error)
        except asyncio.CancelledError:
            # Stopped while it waited for Redis; out of here the worker would end with a traceback.
            logger.warning("%s was stopped unheard by Redis; it runs again after its lease", job_id)

    async def heart_beat(self) -> None:
        try:
            await super().heart_beat()
        except RedisError as error:
            logger.warning("cannot record the worker's health: %s", error)

    def handle_sig_wait_for_completion(self, signum: Signals) -> None:
        """The first signal lets jobs finish for the grace period, the next one stops at once."""
        if self._stopping:
            self.handle_sig(signum)
        else:
            self._stopping = True
            super().handle_sig_wait_for_completion(signum)

    def handle_sig(self, signum: Signals) -> None:
        """Once: a further signal would cancel a job in the middle of its being handed back."""
        if not self._handed_back:
            self._handed_back = True
            super().handle_sig(signum)
