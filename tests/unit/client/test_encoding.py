"""Blocks compressed apart are one standard gzip member, and always the same one."""

import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry_api_v2_client.media_types import Compression
from registry_api_v2_client.push.encoding import (
    BLOCK_SIZE,
    AsIs,
    CompressionPolicy,
    Encoder,
    Gzip,
    encoder_for,
)
from tests.support.big_images import realistic_blocks


def encode(encoder: Encoder, blocks: list[bytes]) -> bytes:
    """Compress on several threads, write in order, as the engine does."""
    with ThreadPoolExecutor(4) as threads:
        encoded = list(threads.map(lambda block: encoder.encode(memoryview(block)), blocks))
    output = [encoder.header]
    for block, (content, checksum) in zip(blocks, encoded, strict=True):
        output.append(content)
        encoder.add(checksum, len(block))
    return b"".join([*output, encoder.trailer()])


def cut(content: bytes, borders: list[int]) -> list[bytes]:
    """The content in pieces that meet at the borders."""
    edges = [0, *sorted(border % (len(content) + 1) for border in borders), len(content)]
    return [content[start:end] for start, end in pairwise(edges) if start < end]


compressible = st.builds(
    lambda piece, times: piece * times, st.binary(max_size=50), st.integers(0, 300)
)
contents = st.binary(max_size=5000) | compressible


@given(contents, st.lists(st.integers(0, 20_000), max_size=6))
@example(b"", [])
def test_any_bytes_cut_anywhere_read_back(content: bytes, borders: list[int]) -> None:
    written = encode(Gzip(), cut(content, borders))
    assert gzip.decompress(written) == content


@given(contents, st.lists(st.integers(0, 20_000), max_size=6))
def test_it_is_one_member_with_nothing_behind(content: bytes, borders: list[int]) -> None:
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(encode(Gzip(), cut(content, borders))) == content
    assert reader.eof
    assert reader.unused_data == b""


@given(contents, st.lists(st.integers(0, 20_000), max_size=6))
def test_the_same_blocks_give_the_same_bytes(content: bytes, borders: list[int]) -> None:
    blocks = cut(content, borders)
    assert encode(Gzip(), blocks) == encode(Gzip(), blocks)


def test_the_header_has_no_name_and_no_time() -> None:
    written = encode(Gzip(), [b"content"])
    assert written[:3] == b"\x1f\x8b\x08"
    assert written[3] == 0, "no flags: no name, no comment, no extra field"
    assert written[4:8] == bytes(4), "no time"


def test_full_blocks_of_realistic_content() -> None:
    blocks = list(realistic_blocks(5 * BLOCK_SIZE + 12_345))
    content = b"".join(blocks)
    blocks = [content[start : start + BLOCK_SIZE] for start in range(0, len(content), BLOCK_SIZE)]
    written = encode(Gzip(), blocks)
    assert gzip.decompress(written) == content
    assert len(written) < 1.15 * len(gzip.compress(content, 6))


def test_a_wrong_checksum_would_be_noticed() -> None:
    encoder = Gzip()
    content, checksum = encoder.encode(memoryview(b"content"))
    encoder.add(checksum ^ 1, 7)
    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(encoder.header + content + encoder.trailer())


def test_the_length_is_that_of_the_format_beyond_four_gigabytes() -> None:
    encoder = Gzip()
    encoder.add(0, (1 << 32) + 5)
    assert encoder.trailer()[-4:] == (5).to_bytes(4, "little")


@given(st.lists(st.binary(max_size=100)))
def test_as_is_changes_nothing(blocks: list[bytes]) -> None:
    assert encode(AsIs(), blocks) == b"".join(blocks)


@pytest.mark.parametrize(
    ("policy", "stored", "encoder"),
    [
        (CompressionPolicy.GZIP, Compression.NONE, Gzip),
        (CompressionPolicy.GZIP, Compression.GZIP, AsIs),
        (CompressionPolicy.GZIP, Compression.ZSTD, AsIs),
        (CompressionPolicy.KEEP, Compression.NONE, AsIs),
        (CompressionPolicy.KEEP, Compression.GZIP, AsIs),
    ],
)
def test_what_is_compressed_is_left_alone(
    policy: CompressionPolicy, stored: Compression, encoder: type[Encoder]
) -> None:
    assert encoder_for(policy, stored) is encoder
