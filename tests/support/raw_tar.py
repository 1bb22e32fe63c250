"""Tars written header by header, so that every field can be wrong; checksums are right."""

from collections.abc import Iterable

BLOCK = 512
END = bytes(2 * BLOCK)

POSIX = b"ustar\0" + b"00"
GNU = b"ustar  \0"


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def octal(number: int, width: int = 12) -> bytes:
    return b"%0*o\0" % (width - 1, number)


def base256(number: int, width: int = 12) -> bytes:
    """As GNU tar writes what octal digits do not hold; two's complement below zero."""
    sign = 0x80 if number >= 0 else 0
    raw = number.to_bytes(width, "big", signed=True)
    return bytes([raw[0] | sign]) + raw[1:]


def header(
    name: bytes,
    size: int | bytes = 0,
    type: bytes = b"0",  # noqa: A002 - the field's name
    link: bytes = b"",
    magic: bytes = POSIX,
    prefix: bytes = b"",
) -> bytes:
    """One header block; ``size`` as bytes is written as it is."""
    block = bytearray(BLOCK)
    fields = {
        0: name[:100],
        100: octal(0o644, 8),
        124: octal(size) if isinstance(size, int) else size,
        148: b" " * 8,
        156: type,
        157: link[:100],
        257: magic,
        345: prefix[:155],
    }
    for start, value in fields.items():
        block[start : start + len(value)] = value
    return with_checksum(block)


def with_checksum(block: bytes | bytearray) -> bytes:
    """The header with the checksum that its bytes have."""
    fixed = bytearray(block)
    fixed[148:156] = b" " * 8
    fixed[148:156] = b"%06o\0 " % sum(fixed)
    return bytes(fixed)


def file(name: bytes, content: bytes = b"", **fields: bytes) -> bytes:
    return header(name, len(content), **fields) + padded(content)


def pax(*records: tuple[bytes, bytes], type: bytes = b"x") -> bytes:  # noqa: A002
    """An extended header with these records."""
    return file(b"pax", b"".join(map(pax_record, records)), type=type)


def pax_record(record: tuple[bytes, bytes]) -> bytes:
    rest = b" %b=%b\n" % record
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%b" % (length, rest)


def gnu_name(content: bytes, type: bytes = b"L") -> bytes:  # noqa: A002
    return file(b"././@LongLink", content, type=type, magic=GNU)


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + END


def members(contents: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(file(name, content) for name, content in contents)
