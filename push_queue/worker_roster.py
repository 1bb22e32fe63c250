"""Which workers are alive: each reports itself, and is forgotten when it stops to."""

from redis.asyncio import Redis

from push_queue.job_fields import decode, timestamp
from push_queue.keys import Keys
from push_queue.models import WorkerInfo
from push_queue.redis_errors import address_of, redis_errors


class WorkerRegistry:
    """The workers of one namespace."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._address = address_of(redis)

    async def report(self, worker: WorkerInfo, ttl: int) -> None:
        """The worker is alive, and is believed to be for ``ttl`` seconds."""
        key = self._keys.worker(worker.id)
        fields = worker.model_dump(mode="json") | {"started_at": timestamp(worker.started_at)}
        with redis_errors(self._address):
            now = await self._now()
            async with self._redis.pipeline() as pipe:
                pipe.hset(key, mapping=fields)
                pipe.expire(key, ttl)
                pipe.zadd(self._keys.workers, {worker.id: now + ttl})
                # Here, so that who only looks need not be allowed to write.
                pipe.zremrangebyscore(self._keys.workers, "-inf", now)
                await pipe.execute()

    async def remove(self, worker_id: str) -> None:
        """The worker stopped."""
        with redis_errors(self._address):
            async with self._redis.pipeline() as pipe:
                pipe.unlink(self._keys.worker(worker_id))
                pipe.zrem(self._keys.workers, worker_id)
                await pipe.execute()

    async def alive(self) -> list[WorkerInfo]:
        """The workers that reported themselves lately, the longest silent first."""
        with redis_errors(self._address):
            now = await self._now()
            ids = await self._redis.zrangebyscore(self._keys.workers, f"({now}", "+inf")
            async with self._redis.pipeline(transaction=False) as pipe:
                for worker_id in ids:
                    pipe.hgetall(self._keys.worker(worker_id.decode()))
                hashes = await pipe.execute()
        return [WorkerInfo.model_validate(decode(fields)) for fields in hashes if fields]

    async def _now(self) -> int:
        """Redis' time: other hosts' clocks may be off."""
        seconds: int
        seconds, _ = await self._redis.time()
        return int(seconds)
