"""Workers that say to Redis what real ones say, and push nothing: ``URL COUNT``.

Each takes a job, starts it, reports its progress, takes and ends its turn at each tag, and settles
the job, by the queue's own scripts and over a connection of its own. Idle, it looks for jobs and
reports itself as often as a real one.
"""

import asyncio
import sys
from datetime import UTC, datetime

import uvloop
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix

from producer import load_settings
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.attempts import Attempts
from push_queue.jobs.tag_turns import TagTurns
from push_queue.jobs.tag_writes import TagWrite
from push_queue.models.assignments import Assignment
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job_status import BlobStatus
from push_queue.redis.connection import connect
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.worker_roster import WorkerRoster
from worker.arq_worker import pause_before_look

from .queues import NAMESPACE

POLL_SECONDS = 0.05
REPORT_SECONDS = 5.0
REPORT_TTL = 15
LEASE_SECONDS = 15
RETRY_KEY_SECONDS = 88400
REPORTS_A_JOB = 4
"""Progress of a push that takes a second."""
BLOBS = 6
DIGEST = f"sha256:{0:064x}"


class VirtualWorker:
    """One of them."""

    def __init__(self, number: int, redis: ArqRedis, database: Database) -> None:
        self._id = f"virtual-{number}"
        self._redis = redis
        self._keys = database.keys
        self._queue = ArqQueue(database)
        self._attempts = Attempts(database)
        self._turns = TagTurns(database)
        self._roster = WorkerRoster(database)
        self._fleet = 1

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        reported = -REPORT_SECONDS
        while True:
            if loop.time() - reported >= REPORT_SECONDS:
                await self._report()
                reported = loop.time()
            taken = await self._queue.take(1, LEASE_SECONDS, self._id)
            for arq_id, score in taken:
                await self._work_on(arq_id, score)
            if not taken:
                await asyncio.sleep(max(POLL_SECONDS, pause_before_look(self._fleet)))

    async def _work_on(self, arq_id: str, score: int) -> None:
        """What arq does around a job, and the worker in between."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(job_key_prefix + arq_id)
            pipe.incr(retry_key_prefix + arq_id)
            pipe.expire(retry_key_prefix + arq_id, RETRY_KEY_SECONDS)
            await pipe.execute()
        await self._queue.hold(arq_id, LEASE_SECONDS, LEASE_SECONDS)
        job_id, generation = self._keys.job_of(arq_id), int(arq_id.rpartition(":")[2])
        started = await self._attempts.start(job_id, generation, self._id, score)
        if isinstance(started, Assignment):
            await self._push(started)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.queue, arq_id)
            pipe.delete(
                in_progress_key_prefix + arq_id,
                retry_key_prefix + arq_id,
                job_key_prefix + arq_id,
            )
            await pipe.execute()

    async def _push(self, assignment: Assignment) -> None:
        for number in range(REPORTS_A_JOB):
            await self._attempts.progress(
                assignment,
                bytes_done=number,
                bytes_total=REPORTS_A_JOB,
                blobs_done=0,
                blobs_total=BLOBS,
                blobs=[BlobStatus(digest=DIGEST, size=1, done=1, how="uploaded")],
            )
        for target in assignment.targets:
            write = TagWrite(target, DIGEST, assignment.sequence)
            await self._turns.take(assignment, write, LEASE_SECONDS)
            await self._turns.end(assignment, write, written=True)
        await self._attempts.succeed(assignment, DIGEST)

    async def _report(self) -> None:
        info = WorkerInfo(
            id=self._id,
            host="virtual",
            pid=1,
            version="0",
            started_at=datetime.now(UTC),
            heeds=True,
        )
        self._fleet = await self._roster.report(info, ttl=REPORT_TTL)


async def run_workers(url: str, first: int, count: int) -> None:
    """Run them until cancelled.

    Raises:
        RedisUnavailableError: Redis fails.
    """
    settings = load_settings(redis_url=url, namespace=NAMESPACE)
    async with asyncio.TaskGroup() as tasks:
        for number in range(first, first + count):
            redis = await connect(settings)
            database = Database(redis, Keys(NAMESPACE), settings.keep_finished_seconds)
            tasks.create_task(VirtualWorker(number, redis, database).run())
        print("is ready", flush=True)


if __name__ == "__main__":
    uvloop.run(run_workers(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
