"""The jobs of a chaos run: enqueued in their order, and counted as they end."""

from datetime import timedelta
from functools import partial

from producer import PushQueue
from push_queue.models.job_status import FINAL_STATES
from tests.chaos.evidence import Evidence
from tests.chaos.patience import patiently, until
from tests.chaos.plan import PlannedJob
from tests.support.stores import Stores

WINDOW = 40
"""The most jobs that wait or run; the producer enqueues more as they end."""

MAX_ATTEMPTS = 12
"""More than any job can need, and fewer than would outlast a registry that is down for long.

So one that fails has been failed by the queue.
"""


GIVE_UP_AFTER = timedelta(days=1)


class Jobs:
    """What the producer does, and how far the fleet is with it."""

    def __init__(self, evidence: Evidence, queue: PushQueue, stores: Stores) -> None:
        self._evidence = evidence
        self._plan = evidence.plan
        self._queue = queue
        self._stores = stores
        self._enqueued = 0
        self.ended = 0
        """How many jobs have been final."""

    async def enqueue_all(self) -> None:
        for job in self._plan.jobs:
            if job.source == job.number:  # its sharer must be enqueued before the tar is deleted
                await until(lambda: self._enqueued - self.ended < WINDOW)
            await patiently(partial(self._enqueue, job))
            self._enqueued += 1

    @property
    def all_enqueued(self) -> bool:
        return self._enqueued == self._plan.count

    async def count(self) -> int:
        """How many jobs are not final; notes how many have been."""
        counts = await patiently(self._stores.jobs.counts)
        final = sum(counts[state] for state in FINAL_STATES)
        self.ended = max(self.ended, final)
        return sum(counts.values()) - final

    async def enqueued(self, number: int) -> str:
        """The id of the job with this number, once it is enqueued."""
        await until(lambda: self._enqueued > number)
        return self._plan.jobs[number].id

    async def _enqueue(self, job: PlannedJob) -> None:
        evidence = self._evidence
        await self._queue.enqueue(
            evidence.images[job.id].path,
            [f"{evidence.proxy.host_of(job)}/{tag}" for tag in job.tags],
            job_id=job.id,
            cleanup=job.cleanup,
            max_attempts=MAX_ATTEMPTS,
            # An option of the newest format, which workers of an older release do not know.
            give_up_after=GIVE_UP_AFTER if job.number % 3 == 0 else None,
        )
