"""Tars: every header field with a right checksum, and bytes changed anywhere."""

import bz2
import lzma
import tempfile
from functools import partial
from pathlib import Path

import zstandard
from hypothesis import strategies as st

from registry_api_v2_client.archive.source_file import SourceFile
from registry_api_v2_client.archive.tar_index import TarIndex
from tests.fuzz.strategies import spoiled, texts
from tests.fuzz.target import Target, handles
from tests.support import raw_tar
from tests.support.images import gzip_bytes

MOST_READ = 1 << 20
FILE = Path(tempfile.gettempdir()) / "fuzz.tar"

COMPRESSIONS = (
    bytes,
    gzip_bytes,
    zstandard.ZstdCompressor().compress,
    bz2.compress,
    lzma.compress,
)

raw_texts = texts.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=20)
sizes = (
    st.integers(0, 3000)
    | st.integers(-(1 << 87), (1 << 87) - 1).map(raw_tar.base256)
    | st.binary(max_size=12)
    | st.sampled_from([b"77777777777\0", b"-1\0", b"  12 \0", b"\x80" + b"\xff" * 11])
)
types = st.sampled_from([bytes([code]) for code in b"0\x0001234567xXgLKSDMNV\xff"])
records = st.tuples(
    st.sampled_from(
        [b"path", b"linkpath", b"size", b"GNU.sparse.map", b"GNU.sparse.size", b"hdrcharset"]
    )
    | raw_texts,
    raw_texts | st.integers().map(lambda number: b"%d" % number),
)
headers = st.builds(
    raw_tar.header,
    raw_texts,
    sizes,
    types,
    raw_texts,
    st.sampled_from([raw_tar.POSIX, raw_tar.GNU, b"", b"ustar\0  "]),
    raw_texts,
)
parts = st.one_of(
    headers,
    st.tuples(headers, st.binary(max_size=600)).map(lambda pair: pair[0] + raw_tar.padded(pair[1])),
    st.builds(raw_tar.file, raw_texts, st.binary(max_size=700) | st.just(b'{"a": [1]}')),
    st.lists(records, max_size=4).map(lambda found: raw_tar.pax(*found)),
    st.binary(max_size=60).map(lambda content: raw_tar.file(b"pax", content, type=b"x")),
    st.builds(raw_tar.gnu_name, raw_texts, st.sampled_from([b"L", b"K"])),
)
tars = st.lists(parts, max_size=8).map(lambda found: raw_tar.tar(*found)).flatmap(spoiled)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from(COMPRESSIONS))(draw(tars))
    return draw(spoiled(content)) if draw(st.integers(0, 3)) == 0 else content


def check(content: bytes) -> None:
    FILE.write_bytes(content)
    handles(_read_everything)


def _read_everything() -> None:
    with SourceFile(FILE) as source, TarIndex(source) as index:
        for name in list(index._members._members):
            handles(partial(_read_member, index, name))


def _read_member(index: TarIndex, name: str) -> None:
    member = index.find(name)
    if member is None:
        return
    content = bytearray(min(member.size, MOST_READ))
    with index.open(member) as reader:
        assert reader.readinto(memoryview(content)) == len(content)
    assert content.startswith(member.head)
    assert index.read(member, MOST_READ) == content


TARGET = Target("tar index", files(), check)
