"""Waiting for a Redis that is down: who retries, for how long, and what is logged."""

import asyncio
import copy
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from push_queue.redis.retries import Patience


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("push_queue.redis.retries.EqualJitterBackoff", lambda **_: NoBackoff())


async def ignore(_: Exception) -> None:
    pass


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """Fails with each of the errors, then answers."""
    left = list(errors)

    async def command() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return command


async def always_away() -> str:
    await asyncio.sleep(0)
    raise away()


async def always_failing() -> str:
    raise away()


async def refused() -> str:
    raise NoScriptError("NOSCRIPT No matching script")


def away(message: str = "refused") -> RedisConnectionError:
    return RedisConnectionError(message)


@pytest.mark.parametrize("error", [away(), ReadOnlyError("replica"), OSError("refused")])
async def test_what_passes_is_tried_again(error: Exception) -> None:
    assert await Patience().call_with_retry(failing(*[error] * 50), ignore) == "answer"


async def test_other_errors_are_not() -> None:
    with pytest.raises(ResponseError, match="wrong"):
        await Patience().call_with_retry(failing(ResponseError("wrong")), ignore)


async def test_only_the_outermost_retries() -> None:
    """An address that stays dead is given up each time, and asked for again."""
    patience = Patience()
    asked = 0

    async def ask_and_connect() -> str:
        nonlocal asked
        asked += 1
        dead = asked < 3
        return await patience.call_with_retry(failing(*[away()] * (99 if dead else 0)), ignore)

    assert await patience.call_with_retry(ask_and_connect, ignore) == "answer"
    assert asked == 3


async def test_it_ends_when_redis_was_away_for_so_long() -> None:
    with pytest.raises(RedisConnectionError, match="second"):
        await Patience(1e-9).call_with_retry(failing(away("first"), away("second")), ignore)


async def test_a_replica_may_be_given_up_before_a_redis_that_is_away() -> None:
    patience = Patience(60, read_only_seconds=0)
    with pytest.raises(ReadOnlyError):
        await patience.call_with_retry(failing(ReadOnlyError("replica")), ignore)
    assert await patience.call_with_retry(failing(away()), ignore) == "answer"


async def test_a_login_that_is_refused_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("push_queue.redis.retries.RIDE_OUT_SECONDS", 0)
    patience = Patience()
    with pytest.raises(AuthenticationError):
        await patience.call_with_retry(failing(AuthenticationError("WRONGPASS")), ignore)
    assert await patience.call_with_retry(failing(away()), ignore) == "answer"


async def test_the_end_is_heard_by_all_connections() -> None:
    patience = Patience()
    copied = copy.deepcopy(patience)
    waiting = asyncio.create_task(copied.call_with_retry(always_away, ignore))
    await asyncio.sleep(0)
    patience.end()
    with pytest.raises(RedisConnectionError):
        await waiting


async def test_an_outage_is_logged_when_it_begins_and_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    patience = Patience()
    # It stands before the outage, and is noticed only after it.
    old = asyncio.Event()

    async def late() -> str:
        if not old.is_set():
            await old.wait()
            raise away("late")
        return "answer"

    late_call = asyncio.create_task(patience.call_with_retry(late, ignore))
    await asyncio.sleep(0)
    calls = [patience.call_with_retry(failing(*[away()] * n), ignore) for n in (3, 1, 5)]
    await asyncio.gather(*calls)
    old.set()
    await late_call
    begins, ends = caplog.messages
    assert begins == "Redis is down, commands wait for it: refused"
    assert ends.startswith("Redis is back after ")


async def test_what_only_reads_does_not_end_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    patience = Patience()
    promoted = asyncio.Event()

    async def write() -> str:
        if not promoted.is_set():
            await asyncio.sleep(0)
            raise ReadOnlyError("replica")
        return "answer"

    writing = asyncio.create_task(patience.call_with_retry(write, ignore))
    for _ in range(10):
        await asyncio.sleep(0)
        await patience.call_with_retry(failing(), ignore)
    assert len(caplog.messages) == 1
    promoted.set()
    await writing
    assert len(caplog.messages) == 2


async def test_it_knows_for_how_long_redis_was_not_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("push_queue.redis.retries._MOMENT_SECONDS", 0)
    patience = Patience()
    assert patience.steady_seconds == math.inf
    waiting = asyncio.create_task(patience.call_with_retry(failing(away()), ignore))
    await asyncio.sleep(0)
    assert patience.steady_seconds == 0
    await waiting
    assert 0 <= patience.steady_seconds < math.inf


async def test_a_connection_that_breaks_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("push_queue.redis.retries._MOMENT_SECONDS", 1000)
    patience = Patience()
    await patience.call_with_retry(failing(away()), ignore)
    assert patience.steady_seconds == math.inf


async def deaf(patience: Patience, command: Callable[[], Awaitable[str]]) -> str:
    """Run the command in a task that is cancelled meanwhile, and does not notice."""

    async def cancelled_unheard() -> str:
        task = asyncio.current_task()
        assert task
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await command()

    return await asyncio.create_task(patience.call_with_retry(cancelled_unheard, ignore))


@pytest.mark.parametrize("seconds", [math.inf, 0])
@pytest.mark.parametrize("command", [failing(), always_failing, refused])
async def test_a_cancellation_that_the_command_lost_ends_it(
    command: Callable[[], Awaitable[str]], seconds: float
) -> None:
    """Whether the command is answered, fails, is given up, or is refused."""
    with pytest.raises(asyncio.CancelledError):
        await deaf(Patience(seconds), command)
