"""The network of a chaos run does what the names of its faults say."""

import asyncio
import errno
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.chaos.network import ChaosProxy

pytestmark = pytest.mark.integration

ALICE = {"Authorization": aiohttp.encode_basic_auth("alice", "secret")}


@pytest.fixture
async def proxy(registry_url: str) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy(registry_url, []) as proxy:
        yield proxy


@pytest.fixture
async def alice() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=ALICE) as session:
        yield session


async def status(session: aiohttp.ClientSession, host: str) -> int:
    async with session.get(f"http://{host}/v2/") as answer:
        return answer.status


async def test_only_the_remote_registry_is_shut(
    proxy: ChaosProxy, alice: aiohttp.ClientSession
) -> None:
    host = proxy.remote.host
    assert await status(alice, host) == 200
    proxy.remote.shut()
    with pytest.raises(aiohttp.ClientConnectorError) as refused:
        await status(alice, host)
    assert refused.value.os_error.errno == errno.ECONNREFUSED
    assert await status(alice, proxy.host) == 200
    await proxy.remote.open()
    assert proxy.remote.host == host
    assert await status(alice, host) == 200


async def test_who_is_inside_when_it_is_shut_is_thrown_out(
    proxy: ChaosProxy, alice: aiohttp.ClientSession
) -> None:
    hold = proxy.hold(lambda request: True)
    waiting = asyncio.create_task(status(alice, proxy.remote.host))
    await hold.reached.wait()
    proxy.remote.shut()
    with pytest.raises(aiohttp.ClientError):
        await waiting


async def test_a_storm_strikes_the_remote_registry_alone(
    proxy: ChaosProxy, alice: aiohttp.ClientSession
) -> None:
    proxy.storm = True
    assert [await status(alice, proxy.remote.host) for _ in range(3)] == [502, 504, 502]
    assert await status(alice, proxy.host) == 200
    proxy.storm = False
    assert await status(alice, proxy.remote.host) == 200


async def test_a_tag_write_is_held_and_arrives_late(
    proxy: ChaosProxy, alice: aiohttp.ClientSession
) -> None:
    held = proxy.detain_tag_write()
    own = await write(alice, f"{proxy.url}/v2/chaos/app-0/manifests/7")
    assert own == 400, "no tag of several jobs"
    late = asyncio.create_task(write(alice, f"{proxy.url}/v2/chaos/app-0/manifests/latest"))
    await held.hold.reached.wait()
    assert (held.worker, held.tag) == ("alice", "chaos/app-0:latest")
    assert not late.done()
    held.hold.release()
    assert await late == 400


async def write(session: aiohttp.ClientSession, url: str) -> int:
    async with session.put(url, data=b"no manifest") as answer:
        return answer.status
