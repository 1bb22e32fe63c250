"""A remembered encoded blob is trusted only if it is plausible."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_api_v2_client import BlobInfo, LocalLimits, MemoryLedger
from registry_api_v2_client.push.blob_fan_out import BlobFanOut
from registry_api_v2_client.push.blocks import BlockPool
from registry_api_v2_client.push.compression import Gzip
from registry_api_v2_client.push.sources import BlobSource
from registry_api_v2_client.retry import Retrier

DIGEST = "sha256:" + "1" * 64
SIZE = 100_000


@pytest.mark.parametrize(
    ("digest", "size", "believed"),
    [
        (DIGEST, 1, True),
        (DIGEST, SIZE + 100, True),
        (DIGEST, 2 * SIZE, False),
        (DIGEST, 0, False),
        (DIGEST, -1, False),
        ("../manifests/latest", 10, False),
        ("sha512:" + "1" * 128, 10, False),
    ],
)
async def test_what_is_remembered(digest: str, size: int, believed: bool) -> None:
    ledger = MemoryLedger()
    blobs = BlobFanOut(
        ledger=ledger,
        limits=LocalLimits(),
        pool=cast(BlockPool, None),
        retrier=cast(Retrier, None),
    )
    layer: Any = SimpleNamespace(key="layer:gzip", size=SIZE, encoder=Gzip)
    blob = BlobInfo(digest, size)
    await ledger.remember_encoded(layer.key, blob)
    assert await blobs.known(cast(BlobSource, layer)) == (blob if believed else None)
