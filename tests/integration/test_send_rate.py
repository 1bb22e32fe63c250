"""What the engine asks before it sends blobs, and what it makes of the answers."""

from collections import Counter

import pytest

from registry_api_v2_client import CompressionPolicy
from registry_api_v2_client.push.engine import ImagePusher
from tests.support.big_images import BigArchive
from tests.support.proxy import FaultProxy
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.spec_registry import SpecRegistry

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
