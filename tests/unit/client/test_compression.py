"""Blocks compressed apart are one standard gzip member, or a row of zstd frames."""

import gzip
import random
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from registry_api_v2_client.media_types import Compression
from registry_api_v2_client.push.compression import (
    BLOCK_SIZE,
    AsIs,
    CompressionPolicy,
    Encoder,
    Gzip,
    Zstd,
    compression_of,
    encoder_for,
)
from tests.support.big_images import realistic_blocks


def encode(encoder: Encoder, blocks: list[bytes]) -> bytes:
    """Compress on several threads, write in order, as the engine does."""
    with ThreadPoolExecutor(4) as threads:
        encoded = list(threads.map(lambda block: encoder.encode(memoryview(block)), blocks))
    output = [encoder.header]
    for block, (parts, checksum) in zip(blocks, encoded, strict=True):
        output += parts
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
    (content,), checksum = encoder.encode(memoryview(b"content"))
    encoder.add(checksum ^ 1, 7)
    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(encoder.header + content + encoder.trailer())


def test_the_length_is_that_of_the_format_beyond_four_gigabytes() -> None:
    encoder = Gzip()
    encoder.add(0, (1 << 32) + 5)
    assert encoder.trailer()[-4:] == (5).to_bytes(4, "little")


# Blocks that do not compress


@pytest.mark.parametrize(
    "size", [1, 2, 4095, 4096, 4097, 65_534, 65_535, 65_536, 131_070, 131_071, BLOCK_SIZE]
)
def test_what_does_not_compress_costs_next_to_nothing(size: int) -> None:
    content = random.Random(size).randbytes(size)
    written = encode(Gzip(), [content])
    assert gzip.decompress(written) == content
    assert len(written) <= 1.001 * size + 40


def test_blocks_of_all_kinds_follow_each_other() -> None:
    noise = random.Random(1).randbytes
    blocks = [noise(BLOCK_SIZE), b"text " * 40_000, noise(70_000), b"", noise(3), b"x" * BLOCK_SIZE]
    assert gzip.decompress(encode(Gzip(), blocks)) == b"".join(blocks)


@pytest.mark.parametrize("at", range(0, BLOCK_SIZE, BLOCK_SIZE // 8))
def test_a_block_that_is_noise_in_part_is_compressed(at: int) -> None:
    """Wherever the eighth lies that compresses."""
    block = bytearray(random.Random(2).randbytes(BLOCK_SIZE))
    block[at : at + BLOCK_SIZE // 8] = bytes(BLOCK_SIZE // 8)
    written = encode(Gzip(), [bytes(block)])
    assert gzip.decompress(written) == block
    assert len(written) < 0.9 * BLOCK_SIZE


# zstd


@given(contents, st.lists(st.integers(0, 20_000), max_size=6))
def test_frames_of_zstd_read_back_as_one_stream(content: bytes, borders: list[int]) -> None:
    assert decompress_frames(encode(Zstd(), cut(content, borders))) == content


def decompress_frames(written: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(written, read_across_frames=True) as reader:
        return reader.read()


def test_frames_of_zstd_tell_when_they_are_damaged() -> None:
    written = bytearray(encode(Zstd(), [random.Random(3).randbytes(10_000)]))
    written[5000] ^= 1
    with pytest.raises(zstandard.ZstdError):
        decompress_frames(bytes(written))


def test_zstd_takes_less_than_gzip() -> None:
    blocks = list(realistic_blocks(6 * BLOCK_SIZE))
    assert len(encode(Zstd(), blocks)) < len(encode(Gzip(), blocks))


# Which encoder


@given(st.lists(st.binary(max_size=100)))
def test_as_is_changes_nothing(blocks: list[bytes]) -> None:
    assert encode(AsIs(), blocks) == b"".join(blocks)


@pytest.mark.parametrize(
    ("policy", "stored", "encoder"),
    [
        (CompressionPolicy.GZIP, Compression.NONE, Gzip),
        (CompressionPolicy.GZIP, Compression.GZIP, AsIs),
        (CompressionPolicy.GZIP, Compression.ZSTD, AsIs),
        (CompressionPolicy.ZSTD, Compression.NONE, Zstd),
        (CompressionPolicy.ZSTD, Compression.GZIP, AsIs),
        (CompressionPolicy.ZSTD, Compression.ZSTD, AsIs),
        (CompressionPolicy.KEEP, Compression.NONE, AsIs),
        (CompressionPolicy.KEEP, Compression.GZIP, AsIs),
    ],
)
def test_what_is_compressed_is_left_alone(
    policy: CompressionPolicy, stored: Compression, encoder: type[Encoder]
) -> None:
    assert encoder_for(policy, stored) is encoder


@pytest.mark.parametrize("stored", Compression)
@pytest.mark.parametrize("policy", CompressionPolicy)
def test_what_a_layer_is_called_is_what_it_becomes(
    policy: CompressionPolicy, stored: Compression
) -> None:
    expected = Compression(policy) if policy != "keep" else stored
    made = compression_of(encoder_for(policy, stored), stored)
    assert made is (expected if stored is Compression.NONE else stored)


def test_no_two_encoders_share_a_name() -> None:
    names = [encoder.name for encoder in (AsIs, Gzip, Zstd)]
    assert len(set(names)) == len(names)
