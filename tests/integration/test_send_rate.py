"""What the engine asks before it sends blobs, and what it makes of the answers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from yarl import URL

from registry_api_v2_client import (
    BlobInfo,
    CompressionPolicy,
    MemoryLedger,
    OpenUploads,
    SendRate,
    UploadUnknownError,
)
from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.api.upload_quirks import Quirks
from registry_api_v2_client.descriptors import sha256
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.progress import ignore_progress
from registry_api_v2_client.push.repository_blobs import RepositoryBlobs
from registry_api_v2_client.push.sources import BytesSource
from tests.support.big_images import BigArchive
from tests.support.proxy import FaultProxy, is_patch
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.spec_registry import SpecRegistry
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

MOST = 10_000


class Rate:
    """Allows little at a time, and counts it."""

    def __init__(self) -> None:
        self.allowed: Counter[str] = Counter()

    async def may_send(self, registry: str, most: int) -> int:
        count = min(most, MOST)
        self.allowed[registry] += count
        return count


def blob_bytes(proxy: FaultProxy) -> int:
    return sum(count for path, count in proxy.body_bytes.items() if "/blobs/uploads" in path)


async def test_every_byte_of_a_blob_is_allowed_before_it_is_sent(big: BigArchive) -> None:
    rate = Rate()
    pusher = ImagePusher(rate=rate, retry=FEW_AND_FAST)
    async with (
        SpecRegistry() as one,
        SpecRegistry() as other,
        FaultProxy(one.url) as first,
        FaultProxy(other.url) as second,
    ):
        await push(
            pusher,
            big.path,
            f"{first.url}/app",
            f"{second.url}/app",
            compression=CompressionPolicy.KEEP,
        )
        assert blob_bytes(first) > 4_000_000
        assert rate.allowed == {proxy.host: blob_bytes(proxy) for proxy in (first, second)}
    pusher.close()


BLOB = bytes(3 * MOST)
INFO = BlobInfo(sha256(BLOB), len(BLOB))
SOURCE = BytesSource(BLOB, INFO.digest, "")


async def pieces() -> AsyncIterator[memoryview]:
    yield memoryview(BLOB)


async def finished() -> BlobInfo:
    return INFO


def blobs_at(registry: Registry, rate: SendRate) -> RepositoryBlobs:
    return RepositoryBlobs(
        registry,
        "app",
        ledger=MemoryLedger(),
        uploads=OpenUploads(),
        rate=rate,
        on_progress=ignore_progress,
    )


class Stingy(Rate):
    """Allows nothing until all that it has allowed before has been sent."""

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__()
        self._proxy = proxy

    async def may_send(self, registry: str, most: int) -> int:
        async def all_is_sent() -> bool:
            return blob_bytes(self._proxy) == self.allowed.total()

        await becomes(all_is_sent)
        return await super().may_send(registry, most)


async def send_small(blobs: RepositoryBlobs) -> None:
    await blobs.send(SOURCE, INFO, BLOB)


async def send_stream(blobs: RepositoryBlobs) -> None:
    await blobs.send_stream(SOURCE, pieces(), finished)


@pytest.mark.parametrize(
    ("send", "in_chunks", "patches"),
    [(send_small, False, 0), (send_stream, False, 1), (send_stream, True, 1)],
)
async def test_what_is_allowed_is_sent_before_more_is_asked_for(
    send: Callable[[RepositoryBlobs], Awaitable[None]], in_chunks: bool, patches: int
) -> None:
    async with (
        SpecRegistry() as server,
        FaultProxy(server.url) as proxy,
        Transport() as transport,
    ):
        registry = Registry(transport, URL(proxy.url), quirks=Quirks(chunk=2 * MOST))
        if in_chunks:
            proxy.answer(is_patch, status=413)
            with pytest.raises(UploadUnknownError, match="trying in chunks"):
                await send_stream(blobs_at(registry, Rate()))
        rate = Stingy(proxy)
        await send(blobs_at(registry, rate))
        assert rate.allowed.total() == len(BLOB)
        assert proxy.count(is_patch) == patches + in_chunks


HOUR = 3600.0


class HourLong(Rate):
    """Has every piece but the first wait for an hour, which is over at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._now = 0.0
        loop = asyncio.get_running_loop()
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + self._now)

    async def may_send(self, registry: str, most: int) -> int:
        if self.allowed:
            self._now += HOUR
            for _ in range(3):
                await asyncio.sleep(0)  # What is due by then comes first.
        return await super().may_send(registry, most)


async def test_an_upload_that_waits_for_its_share_does_not_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        SpecRegistry() as registry,
        FaultProxy(registry.url) as proxy,
        Transport(timeout=60, commit_timeout=60) as transport,
    ):
        rate = HourLong(monkeypatch)
        blobs = blobs_at(Registry(transport, URL(proxy.url)), rate)
        await blobs.send_stream(SOURCE, pieces(), finished)
        assert rate.allowed == {proxy.host: len(BLOB)}
        assert proxy.count(is_patch) == 1
