"""When to try again, and how long to wait; shared by blob uploads and jobs."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from .exceptions import RegistryError, RegistryTimeoutError
from .observer import NOBODY, Observer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    Before try ``n + 1`` (the first try is 1) wait a random time between zero and
    ``min(maximum, base * 2 ** (n - 1))`` seconds, but at least as long as the registry asked for
    (Retry-After). If that is longer than ``patience``, give up. A registry that timed out is not
    tried again either, unless ``after_timeouts``.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    attempts: int = 3
    base: float = 0.5
    maximum: float = 30.0
    patience: float = 30.0
    after_timeouts: bool = True

    def delay(
        self,
        attempt: int,
        error: RegistryError,
        jitter: Callable[[], float] = random.random,
    ) -> float | None:
        """Seconds to wait after failed try number ``attempt``, or None to give up."""
        asked = error.retry_after or 0.0
        if attempt >= self.attempts or not error.retryable or asked > self.patience:
            return None
        if isinstance(error, RegistryTimeoutError) and not self.after_timeouts:
            return None
        return max(self.backoff(attempt, jitter), asked)

    def backoff(self, attempt: int, jitter: Callable[[], float] = random.random) -> float:
        """Seconds to wait after failed try number ``attempt`` where nothing asks for more."""
        return jitter() * min(self.maximum, self.base * 2.0 ** min(attempt - 1, 32))


@dataclass(frozen=True, slots=True)
class Retrier:
    """Runs steps by a policy. ``on_failure`` is called for each failure, also for the last."""

    policy: RetryPolicy
    on_failure: Callable[[RegistryError], Awaitable[None]]
    observer: Observer = NOBODY

    async def run(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run ``step``, and again as long as the policy allows."""
        for attempt in itertools.count(1):
            try:
                return await step()
            except RegistryError as error:
                delay = await self.delay(attempt, error)
                if delay is None:
                    raise
            await asyncio.sleep(delay)
        raise AssertionError("unreachable")

    async def delay(self, attempt: int, error: RegistryError) -> float | None:
        """Seconds to wait after failed try number ``attempt``, or None to give up."""
        await self.on_failure(error)
        delay = self.policy.delay(attempt, error)
        if delay is not None:
            self.observer.tried_again(error)
        return delay
