"""Tar headers: what each member is called, and where its bytes lie. Nothing else is read.

Python's own reader takes sizes and recursion depth from the archive, and ends silently at a broken
header; this one bounds everything. Where the formats are ambiguous it reads like Go's archive/tar,
which docker and skopeo use to load images.

Formats: https://www.gnu.org/software/tar/manual/html_node/Standard.html (ustar, GNU) and
https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_01 (pax)
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

MAX_HEADERS = 1 << 16
"""Headers in one tar. A thousand images of twenty layers have fewer; a file system has more."""

MAX_NAME = 1024
"""Characters of a member's name or link target; image tools write at most a few hundred."""

MAX_EXTENSION = 1 << 20
"""Bytes of one pax header or GNU long name. Source: maxSpecialFileSize in Go's archive/tar."""

MAX_EXTENSIONS = 32 << 20
"""Bytes of all of them together: Python parses only a few megabytes of them a second."""

_BLOCK = 512
_CHECKSUM = slice(148, 156)
_OCTAL = re.compile(rb"[ \0]*([0-7]*) *(?:\0.*)?", re.DOTALL)
_LONGEST_LENGTH = 20
"""Characters of the length in front of a pax record."""


class BrokenTarError(Exception):
    """Not a tar, or one that is not safe to read any further; the message says why."""


class Kind(Enum):
    """The kinds of member that matter for an image."""

    FILE = auto()
    SPARSE = auto()
    SYMLINK = auto()
    HARD_LINK = auto()
    OTHER = auto()


_KINDS = {
    b"\0": Kind.FILE,
    b"0": Kind.FILE,
    b"7": Kind.FILE,  # "contiguous"
    b"S": Kind.SPARSE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
}
_WITHOUT_DATA = b"123456"
"""Links, devices, directories and pipes: no data follows, whatever size they claim."""


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member by its headers: ``size`` bytes at ``offset``, or a link to ``target``."""

    name: str
    kind: Kind
    offset: int
    size: int
    target: str


Read = Callable[[int, int], bytes]
"""``read(offset, count)`` returns fewer bytes only at the end of the tar. Offsets only grow."""


def read_members(read: Read, end: int, past_end: str) -> Iterator[TarMember]:
    """All members, in order.

    A member that reaches beyond byte ``end`` is refused, for the reason in ``past_end``.

    Raises:
        BrokenTarError: a header is broken, cut short, or out of bounds.
    """
    position = extended = 0
    extension = _Extension()
    for _ in range(MAX_HEADERS):
        block = read(position, _BLOCK)
        if not block.strip(b"\0"):
            break
        header = _parse(block, position)
        is_extension = header.type in _EXTENSIONS
        if not is_extension:
            header = extension.applied_to(header)
        offset = position + _BLOCK
        header.check(offset, end, past_end)
        position = offset + header.size + -header.size % _BLOCK
        if is_extension:
            extended += header.size
            extension.add(header, extended, read, offset)
        else:
            kind = _kind(header, extension)
            yield TarMember(header.name, kind, offset, header.size, header.target)
            extension = _Extension()
    else:
        raise BrokenTarError(
            f"it has more than {MAX_HEADERS} members; export an image with docker save, "
            "not a file system"
        )
    if extension != _Extension():
        raise BrokenTarError("it ends after an extended header")


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    type: bytes
    size: int
    target: str

    def check(self, offset: int, end: int, past_end: str) -> None:
        """Raises BrokenTarError if a member with its data at ``offset`` is out of bounds."""
        if len(self.name) > MAX_NAME:
            raise BrokenTarError(
                f"the name {self.name[:80]!r}… is longer than {MAX_NAME} characters"
            )
        if offset + self.size > end:
            raise BrokenTarError(f"{self.name} claims {self.size} bytes, {past_end}")
        if len(self.target) > MAX_NAME:
            raise BrokenTarError(
                f"{self.name} has a link target of more than {MAX_NAME} characters"
            )


def _parse(block: bytes, position: int) -> _Header:
    if len(block) < _BLOCK:
        raise BrokenTarError(f"it is cut short in the header at byte {position}")
    if not _is_intact(block):
        raise BrokenTarError(f"there is no header at byte {position}")
    name = _text(block[:100])
    # GNU tar, whose magic has a space there, keeps times where POSIX has a prefix.
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    size = _number(block[124:136])
    if size is None:
        raise BrokenTarError(f"{name} has no valid size")
    return _Header(name, block[156:157], size, _text(block[157:257]))


def _is_intact(block: bytes) -> bool:
    """Whether the checksum is right. Its own field counts as spaces."""
    stated = _number(block[_CHECKSUM])
    blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    # Old writers summed signed bytes.
    return stated in (sum(blank), sum(memoryview(blank).cast("b")))


def _number(field: bytes) -> int | None:
    """Octal digits, or base 256 if the first bit is set; None if invalid or below zero."""
    if field[0] & 0x80:
        negative = field[0] & 0x40
        return None if negative else int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    octal = _OCTAL.fullmatch(field)
    return int(octal[1] or b"0", 8) if octal else None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _whole(read: Read, offset: int, size: int, name: str) -> bytes:
    content = read(offset, size)
    if len(content) < size:
        raise BrokenTarError(f"it is cut short in the extended header {name}")
    return content


def _kind(header: _Header, extension: "_Extension") -> Kind:
    kind = _KINDS.get(header.type, Kind.OTHER)
    if kind is Kind.FILE and extension.sparse:
        return Kind.SPARSE
    # Before POSIX, a directory was a file whose name ends with a slash.
    return Kind.OTHER if header.type == b"\0" and header.name.endswith("/") else kind


@dataclass(slots=True)
class _Extension:
    """What the extended headers before a member say about it."""

    name: str = ""
    target: str = ""
    size: int | None = None
    sparse: bool = False

    def applied_to(self, header: _Header) -> _Header:
        """The header of the member itself, completed by the extended headers before it."""
        size = header.size if self.size is None else self.size
        return replace(
            header,
            name=self.name or header.name,
            size=0 if header.type in _WITHOUT_DATA else size,
            target=self.target or header.target,
        )

    def add(self, header: _Header, total: int, read: Read, offset: int) -> None:
        """Read an extended header; all of them so far have ``total`` bytes."""
        if header.size > MAX_EXTENSION or total > MAX_EXTENSIONS:
            raise BrokenTarError(
                f"the extended header {header.name} of {header.size} bytes is too large"
            )
        _EXTENSIONS[header.type](self, _whole(read, offset, header.size, header.name))

    def add_name(self, content: bytes) -> None:
        self.name = _text(content)

    def add_target(self, content: bytes) -> None:
        self.target = _text(content)

    def add_pax(self, content: bytes) -> None:
        records = dict(_records(content))
        self.name = _text(records.get(b"path", b"")) or self.name
        self.target = _text(records.get(b"linkpath", b"")) or self.target
        self.sparse |= any(key.startswith(b"GNU.sparse.") for key in records)
        if size := records.get(b"size"):
            if not size.isdigit() or len(size) > _LONGEST_LENGTH:
                raise BrokenTarError("a pax header has no valid size")
            self.size = int(size)

    def ignore(self, content: bytes) -> None:
        """A global header: Go leaves it to its callers, and docker ignores it."""


_EXTENSIONS: dict[bytes, Callable[[_Extension, bytes], None]] = {
    b"L": _Extension.add_name,
    b"K": _Extension.add_target,
    b"x": _Extension.add_pax,
    b"X": _Extension.add_pax,  # Solaris
    b"g": _Extension.ignore,
}


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """``"%d %s=%s\\n"``, where the number is the record's own length."""
    position = 0
    while position < len(content):
        space = content.find(b" ", position, position + _LONGEST_LENGTH)
        length = content[position:space] if space > 0 else b""
        end = position + int(length) if length.isdigit() else 0
        key, equals, value = content[space + 1 : end].partition(b"=")
        if not equals or end > len(content) or not value.endswith(b"\n"):
            raise BrokenTarError("a pax header is broken")
        yield key, value[:-1]
        position = end
