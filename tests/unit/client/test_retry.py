"""The retry policy is arithmetic: bounds, jitter, Retry-After."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.exceptions import (
    DeniedError,
    RateLimitedError,
    RegistryError,
    RegistryTimeoutError,
    RegistryUnavailableError,
    ServerError,
    TarReadError,
)
from registry_api_v2_client.retry import Retrier, RetryPolicy

POLICY = RetryPolicy(attempts=5, base=1.0, maximum=10.0, patience=60.0)
DOWN = RegistryUnavailableError("down")


SILENT = RegistryTimeoutError("silent")


def rate_limited(seconds: float | None) -> RateLimitedError:
    return RateLimitedError("slow down", status=429, retry_after=seconds)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_the_bound_doubles(attempt: int, longest: float) -> None:
    assert POLICY.delay(attempt, DOWN, jitter=lambda: 1.0) == longest
    assert POLICY.delay(attempt, DOWN, jitter=lambda: 0.5) == longest / 2
    assert POLICY.delay(attempt, DOWN, jitter=lambda: 0.0) == 0


def test_the_bound_stops_growing() -> None:
    policy = RetryPolicy(attempts=10_000, base=1.0, maximum=10.0)
    assert policy.delay(9_999, DOWN, jitter=lambda: 1.0) == 10


def test_the_last_attempt_gives_up() -> None:
    assert POLICY.delay(4, DOWN) is not None
    assert POLICY.delay(5, DOWN) is None
    assert POLICY.delay(6, DOWN) is None


@pytest.mark.parametrize("error", [DeniedError("no", status=403), TarReadError("broken")])
def test_a_permanent_error_gives_up_at_once(error: DeniedError | TarReadError) -> None:
    assert POLICY.delay(1, error) is None


def test_retry_after_is_the_least_wait() -> None:
    assert POLICY.delay(1, rate_limited(7), jitter=lambda: 0.0) == 7
    assert POLICY.delay(4, rate_limited(1), jitter=lambda: 1.0) == 8
    assert POLICY.delay(1, rate_limited(None), jitter=lambda: 0.0) == 0


def test_a_registry_that_asks_for_too_long_is_given_up() -> None:
    assert POLICY.delay(1, rate_limited(60), jitter=lambda: 0.0) == 60
    assert POLICY.delay(1, rate_limited(60.5), jitter=lambda: 0.0) is None


@given(
    attempt=st.integers(1, 200),
    jitter=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, 1e12),
)
def test_every_delay_is_within_its_bounds(attempt: int, jitter: float, asked: float | None) -> None:
    policy = RetryPolicy(attempts=1000, base=0.5, maximum=30.0, patience=600.0)
    delay = policy.delay(attempt, rate_limited(asked), jitter=lambda: jitter)
    if delay is None:
        assert asked is not None
        assert asked > 600
    else:
        assert (asked or 0) <= delay <= max(30.0, asked or 0)


# Running a step again


class Step:
    """Fails with each of the errors in turn, then succeeds."""

    def __init__(self, *errors: RegistryError) -> None:
        self.tries = 0
        self._errors = errors

    async def __call__(self) -> str:
        self.tries += 1
        if self.tries <= len(self._errors):
            raise self._errors[self.tries - 1]
        return "done"


def test_a_policy_may_leave_a_silent_registry_at_once() -> None:
    policy = replace(POLICY, after_timeouts=False)
    assert policy.delay(1, SILENT) is None
    assert policy.delay(1, DOWN) is not None
    assert POLICY.delay(1, SILENT) is not None


def retrier(heard: list[RegistryError] | None = None) -> Retrier:
    """Tries three times, at once."""

    async def on_failure(error: RegistryError) -> None:
        (heard if heard is not None else []).append(error)

    return Retrier(RetryPolicy(attempts=3, base=1e-9), on_failure)


async def test_each_failure_is_heard_of() -> None:
    heard: list[RegistryError] = []
    last = ServerError("third", status=503)
    with pytest.raises(ServerError):
        await retrier(heard).run(Step(DOWN, DOWN, last))
    assert heard == [DOWN, DOWN, last]


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_a_step_that_recovers_is_done(failures: int) -> None:
    step = Step(*[DOWN] * failures)
    assert await retrier().run(step) == "done"
    assert step.tries == failures + 1


async def test_the_last_failure_is_raised() -> None:
    last = ServerError("third", status=503)
    step = Step(DOWN, DOWN, last)
    with pytest.raises(ServerError) as caught:
        await retrier().run(step)
    assert caught.value is last
    assert step.tries == 3


async def test_a_permanent_error_is_raised_at_once() -> None:
    step = Step(DeniedError("no", status=403))
    with pytest.raises(DeniedError):
        await retrier().run(step)
    assert step.tries == 1


async def test_a_bug_is_not_retried() -> None:
    tries = 0

    async def step() -> None:
        nonlocal tries
        tries += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await retrier().run(step)
    assert tries == 1
