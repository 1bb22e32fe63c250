"""Whether a worker says that its clock is off, however long Redis takes to say what time it is."""

from types import SimpleNamespace

import pytest

from push_queue.redis import suitability
from tests.support.redis_client import Redis

THERE = 1_769_860_000


@pytest.mark.parametrize(
    ("asked", "answered", "said"),
    [
        (0, 0, None),
        (-10, 0, None),
        (0, 10, None),
        (1, 1, None),
        (60, 70, "60.0 s ahead of"),
        (-70, -60, "60.0 s behind"),
    ],
)
async def test_only_what_is_certain_is_warned_of(
    asked: int, answered: int, said: str | None, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times are those of this host, before and after that of Redis."""
    here = iter((THERE + asked, THERE + answered))

    async def there() -> tuple[int, int]:
        return THERE, 0

    monkeypatch.setattr(redis, "time", there)
    monkeypatch.setattr(suitability, "time", SimpleNamespace(time=lambda: next(here)))
    warnings = await suitability.check_redis(redis, allow_eviction=True)
    off = [warning for warning in warnings if "clock" in warning]
    assert [said and said in warning for warning in off] == ([True] if said else [])
