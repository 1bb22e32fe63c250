"""A zstd frame for each block; a reader takes frames that follow each other as one stream.

Source: https://www.rfc-editor.org/rfc/rfc8878#section-3.1
"""

import struct
from collections.abc import Sequence

import zstandard

LEVEL = 3

_LONGEST_RAW = 128 << 10
_MAGIC = b"\x28\xb5\x2f\xfd"
_SIZE_OF_FOUR_BYTES_AND_NO_WINDOW = 0b1010_0000
"""Frame_Header_Descriptor. Source: RFC 8878, section 3.1.1.1.1."""


class ZstdFrame:
    """With a checksum of the content."""

    def compress(self, block: memoryview) -> Sequence[bytes]:
        return [zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(block)]

    def reads_back(self, parts: Sequence[bytes], block: memoryview) -> bool:
        frame = b"".join(parts)
        try:
            # As much memory is taken as the header says.
            if zstandard.frame_content_size(frame) != len(block):
                return False
            content = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError:
            return False
        return content == bytes(block)

    def wrap(self, block: memoryview) -> Sequence[bytes]:
        """Raw blocks. Source: RFC 8878, section 3.1.1.2."""
        parts: list[bytes | memoryview] = [
            _MAGIC,
            struct.pack("<BI", _SIZE_OF_FOUR_BYTES_AND_NO_WINDOW, len(block)),
        ]
        for start in range(0, len(block), _LONGEST_RAW):
            piece = block[start : start + _LONGEST_RAW]
            is_last = start + _LONGEST_RAW >= len(block)
            parts += ((len(piece) << 3 | is_last).to_bytes(3, "little"), piece)
        return [b"".join(parts)]
