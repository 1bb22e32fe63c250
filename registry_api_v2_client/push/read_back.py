"""What was compressed is decompressed again before it is sent.

A processor may err, rarely and without a sign. What it got wrong while it compressed would get a
digest like any other. The registry would take it, every job with the same layer would use it, and
the first pull would fail.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

_TRIES = 2

logger = logging.getLogger(__name__)


class Codec(Protocol):
    """A compressed form of blocks, none of them empty, that can follow each other."""

    def compress(self, block: memoryview) -> Sequence[bytes]:
        """The block compressed, in parts that are not joined for nothing."""

    def reads_back(self, parts: Sequence[bytes], block: memoryview) -> bool:
        """Whether the parts decompress to the block, and another block can follow them."""

    def wrap(self, block: memoryview) -> Sequence[bytes]:
        """The block uncompressed, in the same format."""


def compress_and_read_back(codec: Codec, block: memoryview) -> Sequence[bytes]:
    """The block as ``codec`` compresses it, or uncompressed if that goes wrong again. Blocking."""
    for _ in range(_TRIES):
        parts = codec.compress(block)
        if codec.reads_back(parts, block):
            return parts
        logger.warning(
            "%d bytes of a layer were compressed to something else, which was noticed and not "
            "sent. If this comes again, test the processor and the memory of this machine.",
            len(block),
        )
    return codec.wrap(block)
