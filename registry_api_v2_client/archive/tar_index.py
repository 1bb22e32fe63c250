"""Where each member of a tar lies, so that members are read in place and nothing is extracted.

The tar may be compressed as a whole. There is no random access in a compressed stream, so a
member is then reached by decompressing up to it; a stream that has read one member is kept for
the next one behind it, which makes reading members in order a single pass.
"""

import bz2
import io
import lzma
import posixpath
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, cast

import zstandard
from isal import igzip, igzip_lib

from ..exceptions import SourceUnreadableError, TarReadError

HEAD_SIZE = 8
"""Bytes of each member kept in the index: enough to tell a compressed layer by its magic."""

_MAX_LINKS = 16
_KEPT_MEMBER = 1 << 20
_KEPT_TOTAL = 32 << 20
_SKIP = 1 << 20


def _open_gzip(path: Path) -> BinaryIO:
    return cast(BinaryIO, igzip.IGzipFile(path))  # type: ignore[no-untyped-call]


def _open_zstd(path: Path) -> BinaryIO:
    raw = path.open("rb")
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return cast(BinaryIO, reader)


_Opener = Callable[[Path], BinaryIO]
_OPENERS: dict[bytes, _Opener] = {
    b"\x1f\x8b": _open_gzip,
    b"\x28\xb5\x2f\xfd": _open_zstd,
    b"BZh": lambda path: cast(BinaryIO, bz2.BZ2File(path)),
    b"\xfd7zXZ\x00": lambda path: cast(BinaryIO, lzma.LZMAFile(path)),  # noqa: SIM115
}
_BROKEN_DATA: tuple[type[Exception], ...] = (
    EOFError,
    igzip_lib.error,  # type: ignore[assignment]
    lzma.LZMAError,
    zstandard.ZstdError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in the tar: ``size`` bytes from ``offset`` of the uncompressed tar."""

    name: str
    offset: int
    size: int
    head: bytes


class MemberReader:
    """Reads one member from its start to its end, once. Blocking; one thread at a time."""

    def __init__(self, member: Member, stream: BinaryIO, give_back: Callable[[BinaryIO], None]):
        self._member = member
        self._stream = stream
        self._give_back = give_back
        self._left = member.size

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``; fewer bytes than it holds come only at the member's end.

        Raises:
            TarReadError: the tar ends before the member does.
        """
        wanted = min(len(buffer), self._left)
        filled = 0
        with _reading(self._member.name):
            while filled < wanted:
                count = cast(io.RawIOBase, self._stream).readinto(buffer[filled:wanted])
                if not count:
                    raise TarReadError(f"the tar ends in the middle of {self._member.name}")
                filled += count
        self._left -= filled
        return filled

    def close(self) -> None:
        self._give_back(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TarIndex:
    """The members of the tar at ``path`` by name. Thread-safe; close it when done."""

    def __init__(self, path: Path) -> None:
        """Index the tar.

        Raises:
            SourceUnreadableError: missing, not a regular file, or not readable.
            TarReadError: empty, truncated, or not a tar.
        """
        self.path = path
        self._lock = threading.Lock()
        self._idle: list[BinaryIO] = []
        self._closed = False
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._kept: dict[str, bytes] = {}
        self._kept_bytes = 0
        self._open_compressed = _sniff_file(path)
        with _reading(str(path)):
            self._scan()

    @property
    def compressed(self) -> bool:
        """Whether the tar is compressed as a whole; reading members out of order is dear then."""
        return self._open_compressed is not None

    def find(self, name: str) -> Member | None:
        """The member of that name, through symbolic and hard links, or None."""
        name = _normal(name)
        for _ in range(_MAX_LINKS):
            if name in self._members:
                return self._members[name]
            if name not in self._links:
                return None
            name = self._links[name]
        raise TarReadError(f"{name} in {self.path} is a loop of links")

    def read(self, member: Member, limit: int) -> bytes:
        """The whole of a small member.

        Raises:
            TarReadError: it is larger than ``limit`` bytes, or cut short.
        """
        if member.size > limit:
            raise TarReadError(
                f"{member.name} in {self.path} has {member.size} bytes; at most {limit} make sense"
            )
        if member.name in self._kept:
            return self._kept[member.name]
        buffer = bytearray(member.size)
        with self.open(member) as reader:
            reader.readinto(memoryview(buffer))
        return bytes(buffer)

    def open(self, member: Member) -> MemberReader:
        with _reading(member.name):
            return MemberReader(member, self._stream_at(member.offset), self._give_back)

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for stream in idle:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _scan(self) -> None:
        stream = self._new_stream()
        try:
            with tarfile.open(fileobj=stream, mode="r|" if self.compressed else "r:") as tar:
                for info in tar:
                    self._add(tar, info)
        except tarfile.TarError as error:
            raise TarReadError(f"{self.path} is not a readable tar: {error}") from error
        finally:
            stream.close()

    def _add(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        name = _normal(info.name)
        if info.issym():
            self._links[name] = _normal(posixpath.join(posixpath.dirname(name), info.linkname))
        elif info.islnk():
            self._links[name] = _normal(info.linkname)
        elif info.isreg() and not info.issparse():
            content = tar.extractfile(info)
            head = content.read(HEAD_SIZE) if content else b""
            if content and self.compressed and self._worth_keeping(info.size):
                self._kept[name] = head + content.read()
                self._kept_bytes += info.size
            self._members[name] = Member(name, info.offset_data, info.size, head)

    def _worth_keeping(self, size: int) -> bool:
        """Small members of a compressed tar: reading them later means decompressing it again."""
        return size <= _KEPT_MEMBER and self._kept_bytes + size <= _KEPT_TOTAL

    def _stream_at(self, offset: int) -> BinaryIO:
        with self._lock:
            behind = [stream for stream in self._idle if stream.tell() <= offset]
            stream = max(behind, key=lambda s: s.tell()) if behind else None
            if stream:
                self._idle.remove(stream)
        stream = stream or self._new_stream()
        if self.compressed:
            _skip(stream, offset - stream.tell())
        else:
            stream.seek(offset)
        return stream

    def _new_stream(self) -> BinaryIO:
        if self._open_compressed:
            return self._open_compressed(self.path)
        return cast(BinaryIO, self.path.open("rb", buffering=0))

    def _give_back(self, stream: BinaryIO) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(stream)
                return
        stream.close()  # a reader that outlives its archive


def _sniff_file(path: Path) -> _Opener | None:
    """How to decompress the file, or None where it is a plain tar."""
    if not path.exists():
        raise SourceUnreadableError(f"{path} does not exist")
    if not path.is_file():
        raise SourceUnreadableError(f"{path} is not a file; give the image tar itself")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_SIZE)
    except OSError as error:
        raise SourceUnreadableError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise TarReadError(f"{path} is empty")
    return next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        skipped = len(stream.read(min(count, _SKIP)))
        if not skipped:
            raise EOFError("the compressed stream ends early")
        count -= skipped


def _normal(name: str) -> str:
    return posixpath.normpath(name).lstrip("/")


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn what reading a broken or vanishing file raises into this library's errors."""
    try:
        yield
    except _BROKEN_DATA as error:
        raise TarReadError(f"{what}: the compressed data is broken or cut short") from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report broken data so
            raise TarReadError(f"{what}: the compressed data is broken") from error
        raise SourceUnreadableError(f"{what} cannot be read: {error.strerror}") from error
