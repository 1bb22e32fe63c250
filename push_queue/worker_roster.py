"""Which workers are alive: each reports, and is forgotten once it stops reporting."""

import json
from collections.abc import Collection, Mapping

from push_queue.jobs.codec import decode, timestamp
from push_queue.models.fleet import WorkerInfo, WorkerState
from push_queue.models.pause import WHOLE_QUEUE, worker_named
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.settings import WEEK_SECONDS

DRAIN_SECONDS = WEEK_SECONDS
"""How long it is remembered that a worker is to end. One without room for another job notices it
when one of its jobs ends."""


class WorkerRoster:
    """The workers of one namespace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._pauses = Pauses(database)

    async def report(self, worker: WorkerInfo, ttl: int) -> int:
        """The worker is alive. It counts as alive for ``ttl`` seconds. Returns how many are."""
        key = self._keys.worker(worker.id)
        fields = worker.model_dump(mode="json", exclude={"state"}) | {
            "started_at": timestamp(worker.started_at),
            "jobs": json.dumps(worker.jobs),
            "heeds": int(worker.heeds),
        }
        now = await self._now()
        async with self._database.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, ttl)
            pipeline.zadd(self._keys.workers, {worker.id: now + ttl})
            # Done here, so that readers need no write permission.
            pipeline.zremrangebyscore(self._keys.workers, "-inf", now)
            pipeline.zcard(self._keys.workers)
            *_, alive = await pipeline.execute()
        return int(alive)

    async def remove(self, worker_id: str) -> None:
        """The worker stopped."""
        async with self._database.pipeline(transaction=True) as pipeline:
            pipeline.unlink(self._keys.worker(worker_id))
            pipeline.hdel(self._keys.paused, worker_named(worker_id))
            pipeline.zrem(self._keys.workers, worker_id)
            await pipeline.execute()

    async def alive(self) -> list[WorkerInfo]:
        """The live workers, the one that has been silent for longest first."""
        now = await self._now()
        ids = await self._database.ask(
            self._redis.zrangebyscore(self._keys.workers, f"({now}", "+inf")
        )
        async with self._database.pipeline() as pipeline:
            for worker_id in ids:
                pipeline.hgetall(self._keys.worker(worker_id.decode()))
            hashes = await pipeline.execute()
        paused = (await self._pauses.all()).keys()
        return [_worker(decode(fields), paused) for fields in hashes if fields]

    async def drain(self, worker_id: str, *, by: str | None = None) -> None:
        """Have the worker take no more jobs, and end with those that it has."""
        await self._pauses.pause(worker_named(worker_id), seconds=DRAIN_SECONDS, by=by)

    async def _now(self) -> int:
        return await self._database.now_ms() // 1000


def _worker(fields: Mapping[str, str], paused: Collection[str]) -> WorkerInfo:
    values = {**fields, "jobs": json.loads(fields.get("jobs", "[]"))}
    worker = WorkerInfo.model_validate(values)
    return worker.model_copy(update={"state": _state(worker, paused)})


def _state(worker: WorkerInfo, paused: Collection[str]) -> WorkerState:
    if not worker.heeds:
        return WorkerState.WORKING
    if worker_named(worker.id) in paused:
        return WorkerState.DRAINING
    return WorkerState.PAUSED if WHOLE_QUEUE in paused else WorkerState.WORKING
