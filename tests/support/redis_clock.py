"""Redis' time: read from any Redis, and fakeredis' made to stand still until it is told to move."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis


class RedisClock:
    """What Redis believes the time to be; whoever asks for ``time.time()`` is told the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(int(time.time()))
        monkeypatch.setattr(time, "time", lambda: self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds


async def redis_now(redis: Redis) -> datetime:
    """To the millisecond, as timestamps are written."""
    seconds, microseconds = await redis.time()
    milliseconds = timedelta(milliseconds=microseconds // 1000)
    return datetime.fromtimestamp(seconds, UTC) + milliseconds
