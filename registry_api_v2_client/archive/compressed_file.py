"""A file that is compressed as a whole, read forward as its decompressed content."""

import bz2
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import zstandard
from isal import igzip, igzip_lib

from ..exceptions import RegistryError, SourceUnreadableError, TarReadError

MAGIC_SIZE = 8
"""Bytes at the start of a file that tell how it is compressed."""

FREE_EXPANSION = 16 << 30
MAX_EXPANSION = 200
"""A file of any size may hold up to FREE_EXPANSION bytes: files of zeros shrink a thousandfold with
gzip and thirty thousandfold with zstd, and reading 16 GiB of zeros takes seconds. Beyond that, the
content is at most MAX_EXPANSION times the file. Images shrink two- to fivefold, so a bomb costs no
more time than an honest file fifty times its size."""

MAX_WINDOW = 128 << 20
"""The largest decompression window in bytes that a stream may ask for. It is the default of the
``zstd`` command; ``xz -9`` needs half of it."""

_CHUNK = 64 << 10
_BROKEN_DATA: tuple[type[Exception], ...] = (
    EOFError,
    OverflowError,  # igzip of a header without end
    igzip_lib.error,  # type: ignore[assignment]
    lzma.LZMAError,
    zstandard.ZstdError,
)

Opener = Callable[[io.RawIOBase], BinaryIO]


def opener_of(magic: bytes) -> Opener | None:
    """How to decompress a file with this start, or None if it is not compressed."""
    return next((opener for start, opener in _OPENERS.items() if magic.startswith(start)), None)


def longest_content(size: int) -> int:
    """Bytes that a compressed file of ``size`` bytes may hold."""
    return max(FREE_EXPANSION, MAX_EXPANSION * size)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what reading a broken or vanished file raises into this library's errors."""
    try:
        yield
    except RegistryError:  # one is a FileNotFoundError as well
        raise
    except _BROKEN_DATA as error:
        raise TarReadError(
            f"{what}: the compressed data is broken, cut short, or needs more than "
            f"{MAX_WINDOW >> 20} MiB of memory"
        ) from error
    except OSError as error:
        if error.errno is None:  # how gzip and bz2 report broken data
            raise TarReadError(f"{what}: the compressed data is broken") from error
        raise SourceUnreadableError(f"{what} cannot be read: {error.strerror}") from error


class _XzFile(io.RawIOBase):
    """Like ``lzma.LZMAFile``, with the memory limit that it lacks."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self._left = b""
        self._position = 0
        self._decompressor = self._new()

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = b""
        while not content:
            if self._decompressor.eof and not self._next_stream():
                return 0
            source = self._read() if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not source:
                raise EOFError("the xz stream is cut short")
            content = self._decompressor.decompress(source, len(buffer))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _read(self) -> bytes:
        left, self._left = self._left, b""
        return left or self._file.read(_CHUNK) or b""

    def _next_stream(self) -> bool:
        """Whether another stream follows, maybe after zeros; if so, continue with it."""
        self._left = self._decompressor.unused_data.lstrip(b"\0")
        while not self._left and (chunk := self._file.read(_CHUNK)):
            self._left = chunk.lstrip(b"\0")
        if self._left:
            self._decompressor = self._new()
        return bool(self._left)

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_WINDOW)


# Readers that do not close the file below them leave that to its last reference.


def _open_gzip(file: io.RawIOBase) -> BinaryIO:
    buffered = io.BufferedReader(file)
    return cast(BinaryIO, igzip.IGzipFile(fileobj=buffered, mode="rb"))  # type: ignore[no-untyped-call]


def _open_zstd(file: io.RawIOBase) -> BinaryIO:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    buffered = io.BufferedReader(file)
    return cast(BinaryIO, decompressor.stream_reader(buffered, read_across_frames=True))


def _open_bzip2(file: io.RawIOBase) -> BinaryIO:
    return cast(BinaryIO, bz2.BZ2File(io.BufferedReader(file)))


def _open_xz(file: io.RawIOBase) -> BinaryIO:
    return io.BufferedReader(_XzFile(file))


_OPENERS: dict[bytes, Opener] = {
    b"\x1f\x8b": _open_gzip,
    b"\x28\xb5\x2f\xfd": _open_zstd,
    b"BZh": _open_bzip2,
    b"\xfd7zXZ\x00": _open_xz,
}
