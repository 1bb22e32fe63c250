"""How long a server is waited for."""

import asyncio
from types import SimpleNamespace

import pytest

from producer import PushQueue
from producer.remote import requests
from producer.remote.queue import RemoteQueue
from tests.support.api import TARGET
from tests.support.proxy import FaultProxy

SOURCE = "/images/app.tar"
AWAY_SECONDS = 60
MOST_TRIES = 1000


async def test_a_server_whose_machine_starts_again_is_waited_for(
    remote: RemoteQueue, queue: PushQueue, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    clock = SimpleNamespace(time=lambda: passed)
    monkeypatch.setattr(
        requests, "asyncio", SimpleNamespace(sleep=sleep, get_running_loop=lambda: clock)
    )
    await queue.enqueue(SOURCE, TARGET, job_id="a")
    await remote.status("a")
    proxy.cut(lambda _: passed < AWAY_SECONDS, times=MOST_TRIES)
    async with asyncio.timeout(AWAY_SECONDS):
        assert (await remote.status("a")).id == "a"
    assert passed >= AWAY_SECONDS
