"""What every store is built on: Redis, keys, scripts, and the boundary for errors."""

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

from push_queue.models.job_status import JobState
from push_queue.redis.errors import address_of, redis_errors
from push_queue.redis.keys import Keys
from push_queue.redis.retries import Patience
from push_queue.scripts import load
from push_queue.settings import WEEK_SECONDS
from push_queue.settings.teams import FAIR_SHARE_BY

Arguments = list[str | int]


class Database:
    """One namespace of a Redis server.

    It keeps finished jobs for ``keep_finished`` seconds. ``share_by`` is what tells a job's team.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        keep_finished: int = WEEK_SECONDS,
        share_by: Iterable[str] = FAIR_SHARE_BY,
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.share_by = ",".join(share_by)
        self._keep_finished = keep_finished
        self._address = address_of(redis)
        self._scripts: dict[str, AsyncScript] = {}

    def errors(self) -> AbstractContextManager[None]:
        """The boundary at which redis-py's exceptions become ours."""
        return redis_errors(self._address)

    @property
    def steady_seconds(self) -> float:
        """For how long Redis has not been down for this process; infinite if it never was."""
        patience = self.redis.get_retry()
        return patience.steady_seconds if isinstance(patience, Patience) else math.inf

    async def ping(self) -> None:
        """Check that Redis answers."""
        await self.ask(self.redis.ping())

    async def now_ms(self) -> int:
        """Redis' time, which all processes share: the clocks of their hosts may be off."""
        seconds, micros = await self.ask(self.redis.time())
        return int(seconds) * 1000 + int(micros) // 1000

    async def ask(self, reply: Any) -> Any:
        """The reply to a command of ``redis``."""
        # redis-py types its commands for its synchronous client as well, hence Any.
        with self.errors():
            return await reply

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool = False) -> AsyncIterator[Pipeline]:
        """Commands that ``execute`` sends together."""
        with self.errors():
            async with self.redis.pipeline(transaction=transaction) as pipeline:
                yield pipeline

    async def run(self, name: str, keys: Iterable[str], args: Iterable[str | int]) -> Any:
        """The result of a script, named with its folder: ``plain/hold``."""
        redis: Any = self.redis  # see `ask`
        keys, args = list(keys), list(args)
        with self.errors():
            try:
                return await redis.evalsha(self._script(name).sha, len(keys), *keys, *args)
            except NoScriptError:
                # Not loaded first: Redis may be started again right after that, too.
                return await redis.eval(load(name), len(keys), *keys, *args)

    async def run_on_job(self, name: str, job_id: str, args: Iterable[str | int] = ()) -> Any:
        """The result of a script about one job, ``job/<name>``."""
        return await self.run(f"job/{name}", self._job_keys(job_id), self._job_args(job_id, args))

    async def run_on_jobs(self, name: str, calls: Iterable[tuple[str, Arguments]]) -> list[Any]:
        """The results of ``job/<name>`` for each job with its arguments, in one round trip.

        If Redis refuses one, the others still run.
        """
        calls = list(calls)
        results = await self._run_together(name, calls)
        if any(isinstance(result, NoScriptError) for result in results):
            # Redis was started again after the script was loaded, so it ran none of them.
            results = await self._run_together(name, calls)
        with self.errors():
            for refusal in results:
                if isinstance(refusal, Exception):
                    raise refusal
        return results

    async def _run_together(self, name: str, calls: list[tuple[str, Arguments]]) -> list[Any]:
        """The results of ``job/<name>`` for each job, or the errors in their place."""
        script = self._script(f"job/{name}")
        async with self.pipeline() as pipeline:
            for job_id, args in calls:
                keys, job_args = self._job_keys(job_id), self._job_args(job_id, args)
                await script(keys=keys, args=job_args, client=pipeline)
            results: list[Any] = await pipeline.execute(raise_on_error=False)
        return results

    def _job_keys(self, job_id: str) -> list[str]:
        keys = self.keys
        return [
            keys.job(job_id),
            keys.blobs(job_id),
            keys.attempts(job_id),
            keys.jobs,
            keys.finished,
            keys.events,
            keys.sequence,
            keys.queue,
            *(keys.jobs_in(state) for state in JobState),
        ]

    def _job_args(self, job_id: str, args: Iterable[str | int]) -> Arguments:
        return [self.keys.namespace, job_id, self._keep_finished, self.share_by, *args]

    def _script(self, name: str) -> AsyncScript:
        if name not in self._scripts:
            self._scripts[name] = self.redis.register_script(load(name))
        return self._scripts[name]
