"""Where each member of a tar lies, so that members are read in place and nothing is extracted.

The tar may be compressed as a whole. There is no random access in a compressed stream, so a
member is then reached by decompressing up to it; a stream that has read one member is kept for
the next one behind it, which makes reading members in order a single pass.
"""

import io
import posixpath
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, cast

from ..exceptions import TarReadError
from ..json_document import MAX_JSON
from .compressed_file import MAGIC_SIZE, Opener, longest_content, opener_of, reading
from .source import Source, SourceReader
from .tar_header import BrokenTarError, Kind, TarMember, read_members

HEAD_SIZE = 8
"""Bytes of each member kept in the index: enough to recognise a compressed layer."""

MAX_DOCUMENTS = 64 << 20
"""The most bytes of manifests and configs to read from one tar: they stay in memory. A thousand
images need less than half of it. This also stops a tar that names one large config a thousand
times."""

_MAX_LINKS = 16
_SKIP = 1 << 20
_OUTSIDE = ".."


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in the tar: ``size`` bytes from ``offset`` of the uncompressed tar."""

    name: str
    offset: int
    size: int
    head: bytes
    sparse: bool = False


class MemberReader:
    """Reads one member from its start to its end, once. Blocking; one thread at a time."""

    def __init__(
        self, member: Member, stream: "_Stream", give_back: Callable[["_Stream"], None]
    ) -> None:
        self._member = member
        self._stream = stream
        self._give_back = give_back
        self._left = member.size

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``, and return the count of bytes: fewer than it holds only at the end.

        Raises:
            TarReadError: the tar ends before the member does.
        """
        wanted = min(len(buffer), self._left)
        filled = 0
        with reading(self._member.name):
            while filled < wanted:
                count = cast(io.RawIOBase, self._stream.content).readinto(buffer[filled:wanted])
                if not count:
                    raise TarReadError(f"the tar ends in the middle of {self._member.name}")
                filled += count
        self._left -= filled
        return filled

    def interrupt(self) -> None:
        """Have a thread that waits for a server in ``readinto`` fail at once. Thread-safe."""
        self._stream.reader.interrupt()

    def close(self) -> None:
        self._give_back(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TarIndex:
    """The members of a tar by name. Thread-safe. Close it when done, and the file after it.

    If several members have the same name, the last counts, as it would when docker extracts them.
    """

    def __init__(self, source: Source) -> None:
        """Index the tar.

        Raises:
            SourceUnreadableError: it cannot be read.
            TarReadError: empty, truncated, not a tar, or built to exhaust its reader.
        """
        self._source = source
        self._lock = threading.Lock()
        self._idle: list[_Stream] = []
        self._closed = False
        self._members: dict[str, Member | _Link] = {}
        self._documents: dict[Member, bytes] = {}
        self._kept_bytes = self._read_bytes = 0
        with reading(str(self.path)):
            self._decompress = self._sniff()
            self._keeps_documents = self.compressed or self.remote
            self._scan()

    @property
    def path(self) -> Path | str:
        return self._source.path

    @property
    def remote(self) -> bool:
        """Whether to read it is to wait for a server."""
        return self._source.remote

    @property
    def compressed(self) -> bool:
        """Whether the tar is compressed as a whole: reading members out of order is then slow."""
        return self._decompress is not None

    def find(self, name: str) -> Member | None:
        """The member of that name, through symbolic and hard links, or None.

        Raises:
            TarReadError: its links form a loop or lead out of the tar, or it is stored sparse.
        """
        place = _normal(name)
        for _ in range(_MAX_LINKS):
            found = self._members.get(place)
            if not isinstance(found, _Link):
                break
            place = found.target
        else:
            raise TarReadError(f"the links of {name} in {self.path} form a loop")
        if _is_outside(place):
            raise TarReadError(f"{name} in {self.path} links to a path outside the tar")
        if found and found.sparse:
            raise TarReadError(
                f"{name} in {self.path} is stored as a sparse file; pack the tar without --sparse"
            )
        return found

    def read(self, member: Member, limit: int) -> bytes:
        """All bytes of a JSON document, which is a manifest or a config.

        Raises:
            TarReadError: it is larger than ``limit`` bytes, cut short, or cannot be JSON; or the
                documents of the tar have too many bytes.
        """
        if member.size > limit:
            raise TarReadError(
                f"{member.name} in {self.path} has {member.size} bytes; at most {limit} are allowed"
            )
        if not _may_be_json(member.head):
            raise TarReadError(f"{member.name} in {self.path} is not valid JSON")
        self._read_bytes += member.size
        document = self._documents.get(member) if self._keeps_documents else self._load(member)
        if document is None or self._read_bytes > MAX_DOCUMENTS:
            raise TarReadError(
                f"the manifests and configs in {self.path} have more than {MAX_DOCUMENTS} bytes "
                "together; save fewer images into one tar"
            )
        return document

    def open(self, member: Member) -> MemberReader:
        """Start reading a member's stored bytes; thread-safe, unlike the reader."""
        with reading(member.name):
            stream = self._stream_at(member.offset)
            if not self.compressed:
                stream.reader.expect(member.size)
            return MemberReader(member, stream, self._give_back)

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
        size = self._source.size
        if self.compressed:
            end, past_end = longest_content(size), f"more than {size} compressed bytes may hold"
        else:
            end, past_end = size, f"but the tar has only {size}"
        with closing(self._new_stream()) as stream:

            def read(offset: int, count: int) -> bytes:
                self._move(stream, offset)
                return _read(stream.content, count)

            try:
                for member in read_members(read, end, past_end):
                    self._add(member, read)
            except BrokenTarError as error:
                raise TarReadError(f"{self.path} is not a readable tar: {error}") from error

    def _add(self, entry: TarMember, read: Callable[[int, int], bytes]) -> None:
        name = _normal(entry.name)
        if _is_outside(name):
            raise BrokenTarError(f"its member {entry.name} has a path outside it")
        # Even a directory or a device replaces an earlier member of that name.
        self._members.pop(name, None)
        match entry.kind:
            case Kind.SYMLINK:
                folder = posixpath.dirname(name)
                self._members[name] = _Link(_normal(posixpath.join(folder, entry.target)))
            case Kind.HARD_LINK:
                self._members[name] = _Link(_normal(entry.target))
            case Kind.FILE | Kind.SPARSE:
                head = read(entry.offset, min(HEAD_SIZE, entry.size))
                sparse = entry.kind is Kind.SPARSE
                member = Member(name, entry.offset, entry.size, head, sparse)
                self._members[name] = member
                if self._keeps_documents and _may_be_json(head):
                    self._keep(member, read)

    def _keep(self, member: Member, read: Callable[[int, int], bytes]) -> None:
        """Keep a document of a compressed tar: to read it later would mean decompressing again."""
        if member.size <= MAX_JSON and self._kept_bytes + member.size <= MAX_DOCUMENTS:
            rest = read(member.offset + len(member.head), member.size - len(member.head))
            self._documents[member] = member.head + rest
            self._kept_bytes += member.size

    def _load(self, member: Member) -> bytes:
        buffer = bytearray(member.size)
        with self.open(member) as reader:
            reader.readinto(memoryview(buffer))
        return bytes(buffer)

    def _stream_at(self, offset: int) -> "_Stream":
        with self._lock:
            # A plain file can go back; a decompressor only goes forward.
            fit = [one for one in self._idle if not self.compressed or one.tell() <= offset]
            stream = max(fit, key=_Stream.tell) if fit else None
            if stream:
                self._idle.remove(stream)
        stream = stream or self._new_stream()
        self._move(stream, offset)
        return stream

    def _new_stream(self) -> "_Stream":
        reader = self._source.reader()
        return _Stream(
            reader, self._decompress(reader) if self._decompress else cast(BinaryIO, reader)
        )

    def _sniff(self) -> Opener | None:
        """How to decompress the file, or None where it is a plain tar."""
        with self._source.reader() as file:
            magic = file.read(MAGIC_SIZE)
        if not magic:
            raise TarReadError(f"{self.path} is empty")
        return opener_of(magic)

    def _move(self, stream: "_Stream", offset: int) -> None:
        if self.compressed:
            _skip(stream.content, offset - stream.tell())
        else:
            stream.reader.seek(offset)

    def _give_back(self, stream: "_Stream") -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(stream)
                return
        stream.close()  # a reader that outlives its archive


@dataclass(frozen=True, slots=True)
class _Link:
    target: str


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """The uncompressed tar, read by ``reader``."""

    reader: SourceReader
    content: BinaryIO

    def tell(self) -> int:
        return self.content.tell()

    def close(self) -> None:
        self.content.close()


def _read(stream: BinaryIO, count: int) -> bytes:
    """``count`` bytes, or fewer at the end. A raw stream may give them in several reads."""
    content = stream.read(count)
    while content and len(content) < count and (more := stream.read(count - len(content))):
        content += more
    return content


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        skipped = len(stream.read(min(count, _SKIP)))
        if not skipped:
            raise EOFError("the compressed stream ends early")
        count -= skipped


def _normal(name: str) -> str:
    return posixpath.normpath(name).lstrip("/")


def _is_outside(name: str) -> bool:
    return name == _OUTSIDE or name.startswith(f"{_OUTSIDE}/")


def _may_be_json(head: bytes) -> bool:
    """Whether a document with this start can be an object or an array."""
    return head.lstrip()[:1] in (b"{", b"[") or (len(head) == HEAD_SIZE and not head.strip())
