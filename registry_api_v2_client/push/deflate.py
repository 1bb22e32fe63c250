"""Blocks of raw deflate, each of which ends at a byte and refers to nothing before it.

Source: https://www.rfc-editor.org/rfc/rfc1951
"""

import struct
from collections.abc import Sequence

from isal import igzip_lib, isal_zlib

LEVEL = 2
END = b"\x03\x00"
"""A last block, which is empty."""

_RAW = -isal_zlib.MAX_WBITS
_SAMPLES, _SAMPLE = 8, 4096
_LONGEST_STORED = 0xFFFF
_BEHIND = b"The block behind has codes of its own. " * 99
_COMPRESSED_BEHIND = isal_zlib.compress(_BEHIND, LEVEL, _RAW)
"""A last block, which does not read right if its first bits are taken for a missing end.

A stored one might, since the decoder skips bits before its length; one with the codes of the
standard might be read as more of the block in front.
"""
_BROKEN_DATA: tuple[type[Exception], ...] = (
    igzip_lib.error,  # type: ignore[assignment]
    EOFError,
)


class Deflate:
    """By ISA-L. A sync flush ends each block."""

    def compress(self, block: memoryview) -> Sequence[bytes]:
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _RAW)
        return deflate.compress(block), deflate.flush(isal_zlib.Z_SYNC_FLUSH)

    def reads_back(self, parts: Sequence[bytes], block: memoryview) -> bool:
        inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        parts = (*parts, _COMPRESSED_BEHIND)
        expected = b"".join((block, _BEHIND))
        # What is wrong may expand to anything; more than expected is wrong already.
        most = len(expected) + 1
        try:
            content = b"".join([inflate.decompress(part, most) for part in parts])
        except _BROKEN_DATA:
            return False
        return inflate.eof and content == expected

    def wrap(self, block: memoryview) -> Sequence[bytes]:
        """Stored blocks, which ISA-L cannot write. Source: RFC 1951, section 3.2.4."""
        parts: list[bytes | memoryview] = []
        for start in range(0, len(block), _LONGEST_STORED):
            piece = block[start : start + _LONGEST_STORED]
            parts += (struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF), piece)
        return [b"".join(parts)]


def incompressible(block: memoryview) -> bool:
    """Whether samples all over the block do not shrink: it holds compressed files.

    A block that does shrink nearly always shows it in the first sample. As measured, the test costs
    4 % of the time to compress, and with a quarter of the blocks stored the whole is a tenth
    faster.
    """
    starts = range(0, len(block), max(_SAMPLE, len(block) // _SAMPLES))
    samples = (block[start : start + _SAMPLE] for start in starts)
    return all(len(isal_zlib.compress(one, 1, _RAW)) >= len(one) for one in samples)
