"""Processes that stay know all scripts from their start, whatever is installed in their place."""

from importlib.resources import files

import pytest
from arq.connections import ArqRedis

from producer import PushQueue
from producer.api.application import make_application
from push_queue import scripts
from push_queue.settings import Settings
from worker.runtime import close_runtime, open_runtime

ALL = [
    f"{folder}/{script.name.removesuffix('.lua')}"
    for folder in ("job", "registry", "plain")
    for script in (files(scripts) / folder).iterdir()
]


@pytest.fixture(autouse=True)
def unread() -> None:
    """Nothing has been read by another test of this process."""
    scripts.load.cache_clear()


def assert_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "_read", lambda part: pytest.fail(f"{part} is read late"))
    assert all(map(scripts.load, ALL))


async def test_a_server_has_read_them(redis: ArqRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    make_application(PushQueue(redis, Settings()), Settings())
    assert_read(monkeypatch)


async def test_a_worker_has_read_them(redis: ArqRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = open_runtime(Settings(), redis)
    assert_read(monkeypatch)
    await close_runtime(runtime)
