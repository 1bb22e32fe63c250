"""Redis' time: read from any Redis; in fakeredis it stands still until a test advances it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis


class RedisClock:
    """Redis' idea of the time, which ``time.time()`` returns, too."""

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
