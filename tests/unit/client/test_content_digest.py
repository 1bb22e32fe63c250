"""The digest of a layer's content, however it is compressed or cut, and even if it is hostile."""

import gzip
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.content_digest import ContentDigest
from tests.support.images import gzip_bytes, sha256_digest, zstd_bytes

CONTENT = random.Random(5).randbytes(50_000) * 3
HALVES = CONTENT[:70_000], CONTENT[70_000:]

STORED = {
    "plain": CONTENT,
    "gzip": gzip_bytes(CONTENT),
    "gzip members": b"".join(map(gzip_bytes, HALVES)),
    "gzip and zeros": gzip_bytes(CONTENT) + bytes(512),
    "zstd": zstd_bytes(CONTENT),
    "zstd frames": b"".join(map(zstd_bytes, HALVES)),
}


def digest_of(stored: bytes, most: int, piece: int = 64 << 10) -> ContentDigest:
    digest = ContentDigest(most)
    for start in range(0, len(stored), piece):
        digest.update(stored[start : start + piece])
    digest.finish()
    return digest


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("piece", [3, 1000, 1 << 20])
def test_both_digests(kind: str, piece: int) -> None:
    digest = digest_of(STORED[kind], len(CONTENT), piece)
    assert digest.stored == sha256_digest(STORED[kind])
    assert digest.content == sha256_digest(CONTENT)
    assert not digest.broken


@given(st.binary(max_size=200))
def test_any_bytes_have_digests(content: bytes) -> None:
    assert digest_of(content, 1 << 20).stored == sha256_digest(content)


@pytest.mark.parametrize("compress", [gzip.compress, zstd_bytes], ids=["gzip", "zstd"])
def test_a_bomb_is_not_inflated(compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        digest = digest_of(bomb, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert digest.broken == "it expands to more than it may"
    assert digest.stored == sha256_digest(bomb)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_cannot_be_decompressed(kind: str) -> None:
    spoiled = bytearray(STORED[kind])
    spoiled[5_000:5_500] = bytes(500)
    digest = digest_of(bytes(spoiled), len(CONTENT))
    assert digest.stored == sha256_digest(bytes(spoiled))
    assert digest.broken or digest.content != sha256_digest(CONTENT)
