"""Jobs in arq's queue: handing them over, their order, and finding those that it lost.

arq runs jobs whose score, the time they are due in milliseconds, has passed; the lowest first. A
job that is due gets a lead by its priority: it overtakes what was enqueued up to a quarter of an
hour before it with the next lower priority, and nothing older, so that nothing waits for ever.
"""

from datetime import timedelta

from arq.constants import in_progress_key_prefix

from push_queue import formats
from push_queue.database import Arguments, Database
from push_queue.models import JobState, JobStatus, Priority
from push_queue.settings import REGISTRY_MAX_UPLOADS

TASK = "push_image"
"""The worker's arq function; it takes the job id and the generation."""

STEP = timedelta(minutes=15)
LEADS: dict[Priority, timedelta] = {"low": STEP, "normal": 2 * STEP, "high": 3 * STEP}


class ArqQueue:
    """The queue of one namespace."""

    def __init__(
        self, database: Database, registry_max_uploads: int = REGISTRY_MAX_UPLOADS
    ) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._registry_max_uploads = registry_max_uploads

    async def hand_over(self, job: JobStatus) -> bool:
        """Give a job to arq that arq has lost; False when it has it, or the job is over."""
        due = round(job.next_attempt_at.timestamp() * 1000) if job.next_attempt_at else 0
        arguments: Arguments = [job.generation, due, lead_ms(job.priority)]
        return bool(await self._database.run_on_job("hand_over", job.id, arguments))

    async def take(self, most: int, lease_seconds: int) -> list[tuple[str, int]]:
        """Take jobs that are due by Redis' clock, for a lease, also those left by older workers.

        Returns arq's id of each, and the score that it had in the queue.
        """
        arguments: Arguments = [most, lease_seconds * 1000, formats.FORMAT]
        keys = [self._keys.queue, self._keys.newer]
        taken = await self._database.run("plain/take_due", keys, arguments)
        return [
            (arq_id.decode(), int(score))
            for arq_id, score in zip(taken[::2], taken[1::2], strict=True)
        ]

    async def hold(self, arq_id: str, seconds: float, lease_seconds: int) -> None:
        """Nobody is to take the job before so many seconds have passed by Redis' clock.

        Once a lease has passed, it can be woken before.
        """
        keys = [self._keys.queue, in_progress_key_prefix + arq_id]
        arguments: Arguments = [arq_id, max(1, round(seconds * 1000)), lease_seconds * 1000]
        await self._database.run("plain/hold", keys, arguments)

    async def give_back(self, arq_id: str, score: int) -> None:
        """The job is where it was before it was taken, unless it has left the queue."""
        command = self._redis.zadd(self._keys.queue, {arq_id: score}, xx=True)
        await self._database.ask(command)

    async def promote(self) -> int:
        """Give jobs that were put off, and are due now, the lead of their priority."""
        arguments: Arguments = [self._keys.namespace, _ms(STEP), *leads_ms()]
        count: int = await self._database.run("plain/promote", [self._keys.queue], arguments)
        return count

    async def release(self) -> int:
        """Wake jobs that wait for registries: one to try a registry after its pause, and once it is
        well as many as it has room for, by priority and then in the order of enqueueing."""
        keys = [self._keys.waited_for, self._keys.queue]
        arguments: Arguments = [
            self._keys.namespace,
            self._registry_max_uploads,
            *leads_ms(),
        ]
        count: int = await self._database.run("registry/release", keys, arguments)
        return count

    async def orphans(self, state: JobState, start: int, count: int) -> tuple[int, list[str]]:
        """Jobs in a state, from position ``start`` in the order of enqueueing, that arq has lost.

        Returns how many were looked at, at most ``count``, and the ids found among them.
        """
        keys = [self._keys.jobs_in(state), self._keys.queue]
        arguments: Arguments = [self._keys.namespace, start, count]
        seen, *ids = await self._database.run("plain/find_orphans", keys, arguments)
        return seen, [job_id.decode() for job_id in ids]


def lead_ms(priority: Priority) -> int:
    return _ms(LEADS[priority])


def leads_ms() -> Arguments:
    """Priority, lead in milliseconds, …"""
    return [item for priority in LEADS for item in (priority, lead_ms(priority))]


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
