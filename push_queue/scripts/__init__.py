"""The Lua scripts: every change of a job's state is one of them, hence atomic.

Each file documents its arguments and result. Those about one job have ``prelude.lua`` before them,
which names the arguments that all of them take and holds what they share.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from push_queue.keys import Keys
from push_queue.models import JobState
from push_queue.redis_errors import address_of, redis_errors
from push_queue.settings import WEEK_SECONDS


class Scripts:
    """Runs scripts by name; Redis is sent their text once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._address = address_of(redis)
        self._scripts: dict[str, AsyncScript] = {}

    async def run(self, name: str, keys: Iterable[str], args: Iterable[str | int]) -> Any:
        """The script's result, as redis-py decodes it.

        Raises:
            RedisUnavailableError: Redis fails.
        """
        with redis_errors(self._address):
            return await self._script(name)(keys=list(keys), args=list(args))

    async def run_all(self, name: str, calls: Iterable[tuple[list[str], list[str | int]]]) -> Any:
        """The results of a script for each of these keys and arguments, all sent at once.

        All of them run, also where one is refused.

        Raises:
            RedisUnavailableError: Redis fails, or refuses one.
        """
        with redis_errors(self._address):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for keys, args in calls:
                    await self._script(name)(keys=keys, args=args, client=pipeline)
                results = await pipeline.execute(raise_on_error=False)
            for refusal in results:
                if isinstance(refusal, Exception):
                    raise refusal
            return results

    def _script(self, name: str) -> AsyncScript:
        if name not in self._scripts:
            self._scripts[name] = self._redis.register_script(load(name))
        return self._scripts[name]


class JobScripts:
    """Runs the scripts about one job."""

    def __init__(self, redis: Redis, keys: Keys, keep_finished: int = WEEK_SECONDS) -> None:
        self._scripts = Scripts(redis)
        self._keys = keys
        self._keep_finished = keep_finished

    async def run(self, name: str, job_id: str, args: Iterable[str | int] = ()) -> Any:
        return await self._scripts.run(name, *self._call(job_id, args))

    async def run_all(self, name: str, calls: Iterable[tuple[str, list[str | int]]]) -> Any:
        """The results for each of these jobs and arguments; see ``Scripts.run_all``."""
        return await self._scripts.run_all(name, [self._call(*call) for call in calls])

    def _call(self, job_id: str, args: Iterable[str | int]) -> tuple[list[str], list[str | int]]:
        keys = self._keys
        return (
            [
                keys.job(job_id),
                keys.blobs(job_id),
                keys.attempts(job_id),
                keys.jobs,
                keys.finished,
                keys.events,
                keys.sequence,
                *(keys.jobs_in(state) for state in JobState),
                keys.queue,
            ],
            [job_id, keys.namespace, self._keep_finished, *args],
        )


_WITHOUT_PRELUDE = frozenset(
    {
        "end_repair",
        "find_orphans",
        "forget_writes",
        "hold",
        "pause",
        "promote",
        "release",
        "renew_turn",
        "take_due",
        "take_repair",
        "take_slot",
        "unsettled_writes",
    }
)


@cache
def load(name: str) -> str:
    """The text of ``<name>.lua``, with the prelude before it if it is about one job."""
    folder = files(__name__)
    prelude = "" if name in _WITHOUT_PRELUDE else (folder / "prelude.lua").read_text()
    return prelude + (folder / f"{name}.lua").read_text()
