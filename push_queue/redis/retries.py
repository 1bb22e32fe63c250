"""How long commands wait for a Redis that is down.

redis-py retries a command; within it, the query to the sentinels; and within that, the connection
to the address that they name. All use the same ``Retry``. If the innermost one kept retrying an
address, the sentinels would never be asked for another. So only the outermost one retries, and each
retry starts from the beginning.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

logger = logging.getLogger(__name__)

# redis-py raises a refused connection as a plain OSError. A primary that has become a replica
# answers READONLY for as long as its connections live; a new one may lead to its successor.
TRANSIENT: tuple[type[Exception], ...] = (
    RedisConnectionError,
    RedisTimeoutError,
    ReadOnlyError,
    OSError,
)

T = TypeVar("T")

RIDE_OUT_SECONDS = 30.0
"""How long a producer's command waits for a Redis that restarts or fails over."""

_BACKOFF_BASE, _BACKOFF_CAP = 0.1, 2.0

_MOMENT_SECONDS = 1.0
"""A Redis that was down for less is as good as one that was not: one connection may have broken."""

_retrying: ContextVar[bool] = ContextVar("_retrying", default=False)


class Patience(Retry):
    """Retries commands until Redis has been down for ``seconds``.

    A Redis that refuses to write is a replica. Without sentinels it stays one, so commands give up
    after ``read_only_seconds``. A Redis that refuses the login may load its users just after its
    start, so they give up after ``RIDE_OUT_SECONDS`` at most.

    All connections of a client share it. It logs when Redis goes down and when it is back.
    """

    __slots__ = (
        "_away_since",
        "_back_since",
        "_outage_ended",
        "_read_only_seconds",
        "_seconds",
        "_told",
        "_waiting",
    )

    def __init__(self, seconds: float = math.inf, *, read_only_seconds: float = math.inf) -> None:
        backoff = EqualJitterBackoff(cap=_BACKOFF_CAP, base=_BACKOFF_BASE)
        super().__init__(backoff, -1, TRANSIENT)  # type: ignore[arg-type]
        self._seconds = seconds
        self._read_only_seconds = read_only_seconds
        self._waiting = 0
        self._away_since: float | None = None
        self._back_since = -math.inf
        self._outage_ended = -math.inf
        self._told = False

    def end(self) -> None:
        """Give up every command that fails from now on, also those that are waiting."""
        self._seconds = 0

    @property
    def steady_seconds(self) -> float:
        """For how long Redis has not been down, but for moments; infinite if it never was."""
        now = time.monotonic()
        if self._away_since is not None and now - self._away_since >= _MOMENT_SECONDS:
            return 0.0
        return now - self._outage_ended

    async def call_with_retry(
        self, do: Callable[[], Awaitable[T]], fail: Callable[[Any], Any]
    ) -> T:
        if _retrying.get():
            return await self._try_once(do, fail)
        cancelled = _cancellations()
        try:
            return await self._until_it_answers(do, fail, cancelled)
        finally:
            _heed_cancellation(cancelled)

    async def _until_it_answers(
        self, do: Callable[[], Awaitable[T]], fail: Callable[[Any], Any], cancelled: int
    ) -> T:
        failures, begun = 0, time.monotonic()
        try:
            while True:
                try:
                    result = await _inside(do)
                except self._supported_errors as error:
                    failures += 1
                    if failures == 1:
                        self._waiting += 1
                    away = self._is_away(error, begun)
                    await fail(error)
                    if away >= self._limit(error):
                        raise
                    _heed_cancellation(cancelled)
                    await asyncio.sleep(self._backoff.compute(failures))
                else:
                    break
        finally:
            if failures:
                self._waiting -= 1
        self._answers()
        return result

    def _limit(self, error: Exception) -> float:
        if isinstance(error, ReadOnlyError):
            return min(self._seconds, self._read_only_seconds)
        if isinstance(error, (AuthenticationError, AuthorizationError)):
            return min(self._seconds, RIDE_OUT_SECONDS)
        return self._seconds

    async def _try_once(self, do: Callable[[], Awaitable[T]], fail: Callable[[Any], Any]) -> T:
        try:
            return await do()
        except self._supported_errors as error:
            await fail(error)
            raise

    def _is_away(self, error: Exception, begun: float) -> float:
        """The seconds since the first failure; ``begun`` is when the command was first tried."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            # One connection after the other notices that a server hangs.
            self._told = begun >= self._back_since
            if self._told:
                logger.warning("Redis is down, commands wait for it: %s", error)
        return now - self._away_since

    def _answers(self) -> None:
        # A replica still answers reads, so Redis counts as back once no command waits.
        if self._away_since is None or self._waiting:
            return
        self._back_since = time.monotonic()
        away = self._back_since - self._away_since
        if away >= _MOMENT_SECONDS:
            self._outage_ended = self._back_since
        if self._told:
            logger.warning("Redis is back after %.1f s", away)
        self._away_since = None

    def __deepcopy__(self, _: object) -> Self:
        # redis-py copies it into each connection, but `end` must reach all of them.
        return self


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _heed_cancellation(before: int) -> None:
    """End the task if it missed its cancellation.

    redis-py sends within ``asyncio.wait_for``. In Python 3.11 that loses a cancellation that comes
    just as sending ends (https://github.com/python/cpython/issues/86296). A worker that is told to
    stop would then wait for its own tasks for ever.
    """
    if _cancellations() > before:
        raise asyncio.CancelledError


async def _inside(do: Callable[[], Awaitable[T]]) -> T:
    token = _retrying.set(True)
    try:
        return await do()
    finally:
        _retrying.reset(token)
