"""Scripts run whatever Redis has forgotten."""

from typing import Any

import pytest

from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from tests.support.redis_client import Redis


@pytest.fixture
def forgetful(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Redis:
    """Started again after each command."""
    execute = redis.execute_command

    async def execute_and_forget(*args: Any, **options: Any) -> Any:
        try:
            return await execute(*args, **options)
        finally:
            await execute("SCRIPT FLUSH")

    monkeypatch.setattr(redis, "execute_command", execute_and_forget)
    return redis


async def test_a_script_runs_however_often_redis_is_started_again(forgetful: Redis) -> None:
    database = Database(forgetful, Keys())
    await forgetful.set("key", "value")
    assert await database.run("plain/delete_if", ["key"], ["another value"]) == 0
    assert await database.run("plain/delete_if", iter(["key"]), iter(["value"])) == 1
    assert not await forgetful.exists("key")
