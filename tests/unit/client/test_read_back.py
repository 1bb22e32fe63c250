"""What a processor gets wrong while it compresses is noticed, and not sent."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence

import pytest
import zstandard

from registry_api_v2_client.push.compression import BLOCK_SIZE, Encoder, Gzip, Zstd
from registry_api_v2_client.push.deflate import END, Deflate
from registry_api_v2_client.push.read_back import Codec
from registry_api_v2_client.push.zstd_frame import ZstdFrame
from tests.support.big_images import realistic_blocks

Compress = Callable[[Codec, memoryview], Sequence[bytes]]
Damage = Callable[[bytes], bytes]

FORMATS: dict[type[Encoder], type[Codec]] = {Gzip: Deflate, Zstd: ZstdFrame}
BEHIND = b"The block behind is not harmed. " * 9


@pytest.fixture(scope="module")
def block() -> bytes:
    return next(realistic_blocks(BLOCK_SIZE, seed=7))


def flipped(compressed: bytes, at: int, bits: int) -> bytes:
    return compressed[:at] + bytes([compressed[at] ^ bits]) + compressed[at + 1 :]


DAMAGES: dict[str, Damage] = {
    "a bit of the header": lambda it: flipped(it, 0, 1),
    "a bit in the middle": lambda it: flipped(it, len(it) // 2, 8),
    "a bit of the last byte": lambda it: flipped(it, len(it) - 1, 128),
    "bytes lost": lambda it: it[:5000] + it[5008:],
    "bytes zeroed": lambda it: it[:5000] + bytes(8) + it[5008:],
    "the end lost": lambda it: it[:-1],
    "sent twice": lambda it: it + it,
    "something behind": lambda it: it + b"x",
    "nothing": lambda it: b"",
    "another block": lambda it: zlib.compress(BEHIND, wbits=-15),
    "a bomb of deflate": lambda it: zlib.compress(bytes(1 << 28), wbits=-15),
    "a bomb of zstd": lambda it: zstandard.compress(bytes(1 << 28)),
}


def damaged(right: Compress, damages: Iterator[Damage]) -> Compress:
    def compress(codec: Codec, block: memoryview) -> Sequence[bytes]:
        parts = right(codec, block)
        damage = next(damages, None)
        return [damage(b"".join(parts))] if damage else parts

    return compress


def sent(encoder: Encoder, blocks: Sequence[bytes]) -> bytes:
    output = [encoder.header]
    for block in blocks:
        parts, checksum = encoder.encode(memoryview(block))
        output += parts
        encoder.add(checksum, len(block))
    return b"".join([*output, encoder.trailer()])


def read(encoder: type[Encoder], written: bytes) -> bytes:
    if encoder is Gzip:
        return gzip.decompress(written)
    return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(written)


@pytest.mark.parametrize("encoder", FORMATS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_block_that_came_out_wrong_is_compressed_again(
    encoder: type[Encoder],
    damage: Damage,
    block: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = sent(encoder(), [block, BEHIND])
    assert not caplog.records
    codec = FORMATS[encoder]
    monkeypatch.setattr(codec, "compress", damaged(codec.compress, iter([damage])))
    assert sent(encoder(), [block, BEHIND]) == right
    assert len(caplog.records) == 1
    assert f"{BLOCK_SIZE} bytes of a layer" in caplog.text


@pytest.mark.parametrize("encoder", FORMATS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_block_that_always_comes_out_wrong_is_sent_uncompressed(
    encoder: type[Encoder], damage: Damage, block: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = FORMATS[encoder]
    monkeypatch.setattr(codec, "compress", damaged(codec.compress, iter([damage, damage])))
    written = sent(encoder(), [block, BEHIND])
    assert read(encoder, written) == block + BEHIND
    assert BLOCK_SIZE < len(written) < 1.001 * BLOCK_SIZE + len(BEHIND)


@pytest.mark.parametrize("encoder", FORMATS)
@pytest.mark.parametrize("size", [1, 0xFFFF, 0x10000, 128 << 10, (128 << 10) + 1, 300_000])
def test_what_is_not_compressed_reads_back(encoder: type[Encoder], size: int, block: bytes) -> None:
    content, codec = memoryview(block)[:size], FORMATS[encoder]()
    parts = codec.wrap(content)
    assert codec.reads_back(parts, content)
    assert not codec.reads_back(parts, memoryview(block)[: size + 1])


@pytest.mark.parametrize(
    ("content", "without_end", "behind"),
    [
        (bytes(28), "63c0", END),
        (b"\x13 \x1d", "12569005", Deflate().wrap(memoryview(BEHIND))[0]),
        (b"lhsh n", "cbc928ce50c8", zlib.compress(b"the block behind", wbits=-15)),
    ],
    ids=["an empty last block", "a stored block", "a block with standard codes"],
)
def test_an_end_that_only_what_follows_completes_is_noticed(
    content: bytes, without_end: str, behind: bytes
) -> None:
    compressed = bytes.fromhex(without_end)
    assert zlib.decompressobj(wbits=-15).decompress(compressed + behind).startswith(content)
    assert not Deflate().reads_back([compressed], memoryview(content))
