"""An upload that is stopped, and whose request fails only afterwards."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, cast

import pytest
from yarl import URL

from registry_api_v2_client import RegistryUnavailableError
from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.api.uploads import UploadSession
from registry_api_v2_client.descriptors import BlobInfo
from registry_api_v2_client.push.ledger import MemoryLedger
from registry_api_v2_client.push.send_rate import Unlimited
from registry_api_v2_client.push.uploads import BlobUpload, OpenUploads


class FailingTransport:
    """Its requests are under way until they are to fail."""

    def __init__(self) -> None:
        self.under_way = asyncio.Event()
        self.fails = asyncio.Event()

    async def request(self, *_: Any, **__: Any) -> NoReturn:
        self.under_way.set()
        await self.fails.wait()
        raise RegistryUnavailableError("reset")


async def nothing() -> AsyncIterator[memoryview]:
    return
    yield memoryview(b"")


async def start(registry: Registry) -> None:
    async def has(_: BlobInfo) -> bool:
        return False

    upload = BlobUpload(
        registry,
        "team/app",
        "key",
        ledger=MemoryLedger(),
        open_uploads=OpenUploads(),
        rate=Unlimited(),
        has=has,
        on_sent=lambda _: None,
    )
    await upload.send(BlobInfo("sha256:" + "d" * 64, 1, "text/plain"), b"x")


async def stream(registry: Registry) -> None:
    session = UploadSession("team/app", URL("https://reg.example.com/uploads/1"))
    await registry.uploads.stream(session, nothing())


@pytest.mark.parametrize("upload", [start, stream])
async def test_the_failure_is_not_logged_as_one_that_nobody_heard_of(
    upload: Callable[[Registry], Awaitable[None]],
) -> None:
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    transport = FailingTransport()
    registry = Registry(cast(Transport, transport), "https://reg.example.com")
    push = asyncio.ensure_future(upload(registry))
    await transport.under_way.wait()
    push.cancel()
    transport.fails.set()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
    assert push.cancelled()
    del push, others
    gc.collect()
    assert unheard == []
