"""The digest of a layer's uncompressed content, its diff_id.

Source: https://github.com/opencontainers/image-spec/blob/main/config.md#layer-diffid
"""

import hashlib
from collections.abc import Iterator
from typing import Protocol

import zstandard
from isal import igzip_lib

from .media_types import Compression, sniff_compression

_MAX_WINDOW = 128 << 20
_PIECE = 1 << 20
"""Bytes taken from gzip at a time."""
_SLICE = 1 << 10
"""Bytes given to zstd at a time. Its output cannot be bounded directly; this bounds it to 32
MiB."""
_LONGEST_MAGIC = 4
_BROKEN_DATA: tuple[type[Exception], ...] = (
    igzip_lib.error,  # type: ignore[assignment]
    zstandard.ZstdError,
    EOFError,
)


class ContentDigest:
    """Hashes bytes as they are stored, and uncompressed. Blocking.

    Memory is bounded, whatever the bytes expand to, and ``most`` bounds the uncompressed bytes. If
    they cannot be uncompressed, ``broken`` says why, and ``content`` is meaningless.
    """

    def __init__(self, most: int) -> None:
        self.broken = ""
        self._left = most
        self._stored, self._content = hashlib.sha256(), hashlib.sha256()
        self._head = b""
        self._decoder: _Decoder | None = None

    @property
    def stored(self) -> str:
        return f"sha256:{self._stored.hexdigest()}"

    @property
    def content(self) -> str:
        return f"sha256:{self._content.hexdigest()}"

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._stored.update(piece)
        if self._decoder:
            self._decode(piece)
            return
        self._head += piece
        if len(self._head) >= _LONGEST_MAGIC:
            self._start()

    def finish(self) -> None:
        """End: there are no more bytes."""
        if self._decoder is None:
            self._start()

    def _start(self) -> None:
        self._decoder = _DECODERS[sniff_compression(self._head)]()
        self._decode(self._head)

    def _decode(self, piece: bytes) -> None:
        if self.broken or not self._decoder:
            return
        try:
            for content in self._decoder.decode(piece):
                self._content.update(content)
                self._left -= len(content)
                if self._left < 0:
                    self.broken = "it expands to more than it may"
                    return
        except _BROKEN_DATA:
            self.broken = "it cannot be decompressed"


class _Decoder(Protocol):
    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The uncompressed bytes of ``piece``, as far as they are complete."""


class _Plain:
    def decode(self, piece: bytes) -> Iterator[bytes]:
        yield piece


class _Gzip:
    """Several members may follow each other, as in pigz and estargz, and then zeros."""

    def __init__(self) -> None:
        self._inflate = self._new()

    def decode(self, piece: bytes) -> Iterator[bytes]:
        while piece or not self._inflate.needs_input:
            if self._inflate.eof:
                piece = piece.lstrip(b"\0")
                if not piece:
                    return
                self._inflate = self._new()
            yield self._inflate.decompress(piece, _PIECE)
            piece = self._inflate.unused_data if self._inflate.eof else b""

    @staticmethod
    def _new() -> igzip_lib.IgzipDecompressor:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


class _Zstd:
    def __init__(self) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        self._frames = decompressor.decompressobj(read_across_frames=True)

    def decode(self, piece: bytes) -> Iterator[bytes]:
        for start in range(0, len(piece), _SLICE):
            yield self._frames.decompress(piece[start : start + _SLICE])


_DECODERS: dict[Compression, type[_Decoder]] = {
    Compression.NONE: _Plain,
    Compression.GZIP: _Gzip,
    Compression.ZSTD: _Zstd,
}
