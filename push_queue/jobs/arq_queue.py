"""Jobs in arq's queue: how they get there, their order, and those that arq has lost.

A job's score is the time in milliseconds at which it is due. arq runs jobs whose time has come, the
lowest score first. A job that is due gets a lead by its priority: it overtakes jobs of the next
lower priority that were enqueued up to a quarter of an hour earlier. Older ones still go first, so
that no job waits for ever.

The due jobs of each team have a range of scores of their own, below zero, so that teams can take
turns: see ``scripts/shared/teams.lua``. arq's own worker runs one such range after the other.
"""

from datetime import timedelta

from arq.constants import in_progress_key_prefix

from push_queue.errors import DrainedError
from push_queue.models import formats
from push_queue.models.job import Priority
from push_queue.models.job_status import JobState, JobStatus
from push_queue.redis.database import Arguments, Database
from push_queue.settings import REGISTRY_MAX_UPLOADS

TASK = "push_image"
"""arq's name of the worker's function, which takes the job id and the generation."""

STEP = timedelta(minutes=15)
LEADS: dict[Priority, timedelta] = {"low": STEP, "normal": 2 * STEP, "high": 3 * STEP}


_TIDIED_AT_ONCE = 20


class ArqQueue:
    """The queue of one namespace."""

    def __init__(
        self, database: Database, registry_max_uploads: int = REGISTRY_MAX_UPLOADS
    ) -> None:
        self._database = database
        self._keys = database.keys
        self._registry_max_uploads = registry_max_uploads

    async def hand_over(self, job: JobStatus) -> bool:
        """Enqueue a job that arq has lost. False if arq has it, or the job is final."""
        due = round(job.next_attempt_at.timestamp() * 1000) if job.next_attempt_at else 0
        arguments: Arguments = [job.generation, due, lead_ms(job.priority)]
        return bool(await self._database.run_on_job("hand_over", job.id, arguments))

    async def take(
        self, most: int, lease_seconds: int, worker_id: str = ""
    ) -> list[tuple[str, int]]:
        """Take at most ``most`` jobs that are due by Redis' clock, each for a lease.

        They include jobs that older workers left to newer ones. Returns arq's id and the score in
        the queue of each. There are none while the queue is paused.

        Raises:
            DrainedError: this worker is to take no job any more.
        """
        lease_ms = lease_seconds * 1000
        arguments: Arguments = [
            *(most, lease_ms, formats.FORMAT, _ms(STEP), worker_id),
            *(self._keys.namespace, self._database.share_by),
            *leads_ms(),
        ]
        keys = [
            self._keys.queue,
            self._keys.newer,
            self._keys.running,
            self._keys.turns,
            self._keys.paused,
        ]
        taken = await self._database.run("plain/take_due", keys, arguments)
        if taken == [b"drained"]:
            raise DrainedError("this worker is to take no more jobs")
        return [
            (arq_id.decode(), int(score))
            for arq_id, score in zip(taken[::2], taken[1::2], strict=True)
        ]

    async def renew(self, arq_id: str, score: int, lease_seconds: int) -> None:
        """Keep the job, which was taken from that ``score``, for another lease."""
        await self._hold(arq_id, lease_seconds * 1000, lease_seconds, score)

    async def hold(self, arq_id: str, seconds: float, lease_seconds: int) -> None:
        """Keep all workers from taking the job, which is put off for ``seconds`` by Redis' clock.

        However short that is, nobody takes it before arq's worker has ended with it, or a lease has
        passed. Then ``release`` may wake it before its time. A job that is over is due at once, so
        that it leaves the queue.
        """
        await self._hold(arq_id, round(seconds * 1000), lease_seconds, "")

    async def _hold(
        self, arq_id: str, milliseconds: int, lease_seconds: int, score: int | str
    ) -> None:
        keys = [
            self._keys.queue,
            in_progress_key_prefix + arq_id,
            self._keys.running,
            self._keys.job(self._keys.job_of(arq_id)),
        ]
        _, _, generation = arq_id.rpartition(":")
        arguments: Arguments = [arq_id, milliseconds, lease_seconds * 1000, score, generation]
        await self._database.run("plain/hold", keys, arguments)

    async def give_back(self, arq_id: str, score: int) -> None:
        """Put the job back where it was taken from, unless it has left the queue."""
        async with self._database.pipeline() as pipeline:
            pipeline.zadd(self._keys.queue, {arq_id: score}, xx=True)
            pipeline.zrem(self._keys.running, arq_id)
            await pipeline.execute()

    async def promote(self) -> int:
        """Give postponed jobs that are due now the lead of their priority.

        Returns how many there were.
        """
        keys = [self._keys.queue, self._keys.running]
        arguments: Arguments = [
            self._keys.namespace,
            _ms(STEP),
            self._database.share_by,
            *leads_ms(),
        ]
        count: int = await self._database.run("plain/promote", keys, arguments)
        return count

    async def tidy_due(self) -> int:
        """Take jobs that no longer wait for a worker out of the lists of those that do.

        Returns how many there were.
        """
        keys = [self._keys.due(priority) for priority in LEADS]
        count: int = await self._database.run(
            "plain/tidy_due", keys, [self._keys.namespace, _TIDIED_AT_ONCE]
        )
        return count

    async def release(self) -> int:
        """Wake jobs that wait for registries, by priority and then in the order of enqueueing.

        After a pause one job tries the registry. Once it answers, as many start as it has room for.
        Returns how many were woken.
        """
        keys = [self._keys.waited_for, self._keys.queue]
        arguments: Arguments = [
            self._keys.namespace,
            self._registry_max_uploads,
            self._database.share_by,
            *leads_ms(),
        ]
        count: int = await self._database.run("registry/release", keys, arguments)
        return count

    async def orphans(self, state: JobState, start: int, count: int) -> tuple[int, list[str]]:
        """Find jobs in a state that arq has lost.

        The search starts at position ``start`` in the order of enqueueing. Returns how many jobs
        were looked at, at most ``count``, and the ids of the lost ones.
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
