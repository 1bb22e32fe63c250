"""The index of a tar: what other tools write is found, what is hostile is named and refused."""

import bz2
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.archive import compressed_file, files, tar_header, tar_index
from registry_api_v2_client.archive.files import Member
from registry_api_v2_client.archive.source_file import SourceFile
from registry_api_v2_client.archive.tar_index import TarIndex
from registry_api_v2_client.exceptions import TarReadError
from tests.support.images import gzip_bytes
from tests.support.raw_tar import (
    GNU,
    base256,
    file,
    gnu_name,
    header,
    octal,
    padded,
    pax,
    tar,
)

Compress = Callable[[bytes], bytes]

COMPRESSIONS: dict[str, Compress] = {
    "plain": bytes,
    "gzip": gzip_bytes,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Callable[[bytes], TarIndex]]:
    with ExitStack() as opened:

        def build(content: bytes) -> TarIndex:
            path = tmp_path / "image.tar"
            path.write_bytes(content)
            return TarIndex(opened.enter_context(SourceFile(path)))

        yield build


Build = Callable[[bytes], TarIndex]


def content_of(index: TarIndex, name: str) -> bytes:
    member = index.find(name)
    assert member is not None, name
    content = bytearray(member.size)
    with index.open(member) as reader:
        assert reader.readinto(memoryview(content)) == member.size
    assert content.startswith(member.head)
    return bytes(content)


def assert_refused(index: Build, content: bytes, words: str) -> None:
    for name, compress in COMPRESSIONS.items():
        with pytest.raises(TarReadError, match=words) as caught:
            index(compress(content))
        assert "image.tar" in str(caught.value), name


# What tar writers write


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_members_of_every_compression(compress: Compress, index: Build) -> None:
    with index(compress(tar(file(b"a", b"first"), file(b"b/c", b"x" * 70_000)))) as found:
        assert content_of(found, "b/c") == b"x" * 70_000
        assert content_of(found, "a") == b"first"
        assert found.find("c") is None


def test_several_xz_streams_with_padding_are_one_file(index: Build) -> None:
    whole = tar(file(b"a", b"first" * 1000))
    parts = lzma.compress(whole[:700]) + bytes(8) + lzma.compress(whole[700:]) + bytes(4)
    with index(parts) as found:
        assert content_of(found, "a") == b"first" * 1000


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=150)


@given(
    members=st.dictionaries(names, st.binary(max_size=1500), max_size=6),
    format=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    compress=st.sampled_from([bytes, gzip_bytes]),
)
def test_whatever_python_writes_is_found(
    members: dict[str, bytes],
    format: int,  # noqa: A002
    compress: Compress,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if format == tarfile.USTAR_FORMAT:
        members = {f"{n:03}": content for n, content in enumerate(members.values())}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as written:
        for name, content in members.items():
            info = tarfile.TarInfo(f"dir/{name}")
            info.size, info.mtime = len(content), 1.5  # a fraction makes a pax header
            written.addfile(info, io.BytesIO(content))
    path = tmp_path_factory.getbasetemp() / "written.tar"
    path.write_bytes(compress(buffer.getvalue()))
    with SourceFile(path) as source, TarIndex(source) as found:
        expected = {name: members[name] for name in members if name not in (".", "..")}
        assert {name: content_of(found, f"dir/{name}") for name in expected} == expected


def test_a_prefix_belongs_to_the_name_in_posix_headers_only(index: Build) -> None:
    posix = file(b"layer.tar", b"posix", prefix=b"a/b")
    gnu = file(b"layer.tar", b"gnu", prefix=b"12345670123", magic=GNU)
    with index(tar(posix, gnu)) as found:
        assert content_of(found, "a/b/layer.tar") == b"posix"
        assert content_of(found, "layer.tar") == b"gnu"


def test_the_last_pax_header_counts_and_a_global_one_does_not(index: Build) -> None:
    other = pax((b"path", b"everywhere"), (b"size", b"1"), type=b"g")
    two = pax((b"path", b"first")) + pax((b"path", b"second"))
    with index(tar(other, two, file(b"short", b"content"), file(b"next", b"y"))) as found:
        assert content_of(found, "second") == b"content"
        assert content_of(found, "next") == b"y"
        assert found.find("everywhere") is None


def test_a_pax_size_replaces_that_of_the_header(index: Build) -> None:
    with index(tar(pax((b"size", b"600")), header(b"a", 0), padded(b"z" * 600))) as found:
        assert content_of(found, "a") == b"z" * 600


def test_what_has_no_data_claims_some_in_vain(index: Build) -> None:
    directory = header(b"folder/", 10_000, type=b"5")
    with index(tar(directory, file(b"a", b"content"))) as found:
        assert content_of(found, "a") == b"content"


def test_more_than_eight_gigabytes(tmp_path: Path) -> None:
    size = 9 << 30
    path = tmp_path / "big.tar"
    with path.open("wb") as big:
        big.write(header(b"layer.tar", base256(size)))
        big.seek(size, io.SEEK_CUR)
        big.write(tar(file(b"behind", b"x")))
    with SourceFile(path) as source, TarIndex(source) as found:
        assert found.find("layer.tar") == Member("layer.tar", 512, size, bytes(8))
        assert content_of(found, "behind") == b"x"


def test_what_follows_the_end_is_not_read(index: Build) -> None:
    with index(tar(file(b"a", b"x")) + file(b"b", b"y")) as found:
        assert found.find("b") is None


# Names and links


@pytest.mark.parametrize("name", [b"../a", b"a/../../b", b"..", b"/../../etc/passwd\0"])
def test_a_name_that_leads_out(name: bytes, index: Build) -> None:
    # After the root, .. is the root.
    if name.startswith(b"/"):
        with index(tar(file(name, b"x"))) as found:
            assert content_of(found, "etc/passwd") == b"x"
        return
    assert_refused(index, tar(file(name, b"x")), "has a path outside it")


@pytest.mark.parametrize("target", [b"../../secret", b"../..", b"x/../../../secret"])
def test_a_link_that_leads_out(target: bytes, index: Build) -> None:
    with index(tar(header(b"a/link", type=b"2", link=target))) as found:  # noqa: SIM117
        with pytest.raises(TarReadError, match=r"a/link in .* links to a path outside the tar"):
            found.find("a/link")


def test_the_last_of_several_members_counts_whatever_it_is(index: Build) -> None:
    link = header(b"a", type=b"2", link=b"b")
    with index(tar(file(b"a", b"old"), file(b"b", b"new"), link)) as found:
        assert content_of(found, "a") == b"new"
    with index(tar(link, file(b"b", b"other"), file(b"a", b"new"))) as found:
        assert content_of(found, "a") == b"new"
    with index(tar(file(b"a", b"old"), header(b"a/", type=b"5"))) as found:
        assert found.find("a") is None


def test_a_long_chain_of_links_ends(index: Build) -> None:
    chain = [header(b"l%d" % n, type=b"2", link=b"l%d" % (n + 1)) for n in range(40)]
    with index(tar(*chain, file(b"l40", b"x"))) as found:
        with pytest.raises(TarReadError, match="form a loop"):
            found.find("l0")
        assert content_of(found, "l30") == b"x"


def test_a_sparse_member_is_named_when_it_is_needed(index: Build) -> None:
    old = header(b"layer.tar", type=b"S")
    new = pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"x")) + file(b"b.tar", b"1\n")
    with index(tar(old, new, file(b"a", b"x"))) as found:
        assert content_of(found, "a") == b"x"
        for name in ("layer.tar", "b.tar"):
            with pytest.raises(TarReadError, match=f"{name} .* pack the tar without --sparse"):
                found.find(name)


# Broken and hostile headers


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (base256(-1), "a has no valid size"),
        (base256(-(1 << 60)), "a has no valid size"),
        (b"1_0        \0", "a has no valid size"),
        (b"-10\0", "a has no valid size"),
        (b"99999999999\0", "a has no valid size"),
        (base256(1 << 62), "a claims 4611686018427387904 bytes"),
        (base256((1 << 87) - 1), "a claims"),
        (octal(0o77777777777), "a claims 8589934591 bytes"),
    ],
)
def test_wrong_sizes(size: bytes, words: str, index: Build) -> None:
    content = tar(header(b"a", size))
    with pytest.raises(TarReadError, match=words):
        index(content)


def test_a_member_past_the_end_of_the_file(index: Build) -> None:
    content = file(b"first", b"x") + header(b"layer.tar", 1000) + bytes(512)
    with pytest.raises(TarReadError, match="claims 1000 bytes, but the tar has only 2048"):
        index(content)


@pytest.mark.parametrize("size", [b"-1", b"1e3", b"9" * 5000, b"\xb2", b"0x10"])
def test_wrong_sizes_in_a_pax_header(size: bytes, index: Build) -> None:
    assert_refused(index, tar(pax((b"size", size)), header(b"a")), "pax header has no valid size")


@pytest.mark.parametrize(
    "records",
    [
        b"no length\n",
        b"5 a=\n9999 b=\n",
        b"0 a=\n",
        b"3 \n",
        b"8 nokey\n\n",
        b"6 a=b",
        b"-6 a=b\n",
        b"1" * 100_000,
    ],
)
def test_broken_pax_records(records: bytes, index: Build) -> None:
    content = tar(file(b"pax", records, type=b"x"), header(b"a"))
    assert_refused(index, content, "pax header is broken")


def test_pax_headers_without_end_are_no_recursion(index: Build) -> None:
    content = tar(pax((b"path", b"a")) * 5000, file(b"b", b"x"))
    with index(content) as found:
        assert content_of(found, "a") == b"x"


@pytest.mark.parametrize("type", [b"x", b"g", b"L", b"K"])
def test_an_extended_header_of_megabytes(type: bytes, index: Build) -> None:  # noqa: A002
    content = tar(file(b"pax", b"a" * (2 << 20), type=type), header(b"a"))
    assert_refused(index, content, "extended header pax of 2097152 bytes is too large")


def test_megabytes_of_extended_headers(index: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_header, "MAX_EXTENSIONS", 3000)
    one = pax((b"comment", b"x" * 900)) + file(b"a", b"x")
    with index(tar(one * 3)) as found:
        assert content_of(found, "a") == b"x"
    assert_refused(index, tar(one * 4), "extended header pax of .* is too large")


@pytest.mark.parametrize("last", [pax((b"path", b"a")), gnu_name(b"a")])
def test_an_extended_header_at_the_end(last: bytes, index: Build) -> None:
    assert_refused(index, tar(file(b"a", b"x"), last), "ends after an extended header")


@pytest.mark.parametrize(
    "long",
    [
        gnu_name(b"n" * 1025) + header(b"a"),
        pax((b"path", b"n" * 1025)) + header(b"a"),
        gnu_name(b"n" * 1025, type=b"K") + header(b"a", type=b"2"),
        pax((b"linkpath", b"n" * 1025)) + header(b"a", type=b"1"),
    ],
)
def test_names_longer_than_tools_write(long: bytes, index: Build) -> None:
    assert_refused(index, tar(long), "1024 characters")


def test_more_members_than_an_image_has(index: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_header, "MAX_HEADERS", 100)
    with index(tar(header(b"a") * 99)) as found:
        assert found.find("a")
    assert_refused(
        index, tar(header(b"a") * 100), "more than 100 members; export an image with docker save"
    )


def test_a_broken_header_between_members(index: Build) -> None:
    # Ending there in silence would hide the members behind it.
    spoiled = bytearray(file(b"b", b"y"))
    spoiled[0] ^= 1
    content = tar(file(b"a", b"x"), bytes(spoiled))
    assert_refused(index, content, "there is no header at byte 1024")


def test_a_checksum_of_signed_bytes(index: Build) -> None:
    block = bytearray(header("ä".encode(), 1))
    block[148:156] = b"%06o\0 " % (int(block[148:154], 8) - 2 * 256)
    with index(tar(bytes(block), padded(b"x"))) as found:
        assert content_of(found, "ä") == b"x"


# Bombs


@pytest.mark.parametrize("kind", [name for name in COMPRESSIONS if name != "plain"])
def test_zeros_compress_as_they_like(kind: str, index: Build) -> None:
    zeros = bytes(20 << 20)
    with index(COMPRESSIONS[kind](tar(file(b"zeros", zeros), file(b"a", b"x")))) as found:
        assert content_of(found, "zeros") == zeros
        assert content_of(found, "a") == b"x"


@pytest.mark.parametrize("kind", [name for name in COMPRESSIONS if name != "plain"])
def test_a_bomb_is_refused_before_it_is_inflated(
    kind: str, index: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed_file, "FREE_EXPANSION", 10 << 20)
    bomb = tar(file(b"zeros", bytes(30 << 20)))
    with pytest.raises(TarReadError, match="zeros claims 31457280 bytes, more than"):
        index(COMPRESSIONS[kind](bomb))


def test_a_bomb_of_a_terabyte_costs_nothing(index: Build) -> None:
    with pytest.raises(TarReadError, match="a claims 1099511627776 bytes, more than"):
        index(gzip_bytes(header(b"a", base256(1 << 40))))


def xz_of_a_large_window() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    return lzma.compress(b"x", filters=filters)


def zstd_of_a_large_window() -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(bytes(1 << 20))


@pytest.mark.parametrize("pack", [xz_of_a_large_window, zstd_of_a_large_window])
def test_a_stream_that_wants_memory(pack: Callable[[], bytes], index: Build) -> None:
    with pytest.raises(TarReadError, match="needs more than 128 MiB of memory"):
        index(pack())


def test_a_gzip_header_without_end(index: Build) -> None:
    with_name = b"\x1f\x8b\x08\x08" + bytes(6)
    with pytest.raises(TarReadError, match="broken, cut short"):
        index(with_name + b"a" * (1 << 20))


# Documents


def document(found: TarIndex, name: str, limit: int = 1 << 20) -> bytes:
    member = found.find(name)
    assert member is not None
    return found.read(member, limit)


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_documents_are_read_whole_and_once_decompressed(compress: Compress, index: Build) -> None:
    text = b' {"a": "' + b"x" * 100_000 + b'"}'
    with index(compress(tar(file(b"a.json", text), file(b"text", b"hello")))) as found:
        assert document(found, "a.json") == text
        with pytest.raises(TarReadError, match=r"text in .* is not valid JSON"):
            document(found, "text")
        with pytest.raises(TarReadError, match="at most 1000 are allowed"):
            document(found, "a.json", 1000)


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_documents_have_a_bound_together(
    compress: Compress, index: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (files, tar_index):
        monkeypatch.setattr(module, "MAX_DOCUMENTS", 1000)
    content = tar(file(b"a", b"[" * 500), file(b"b", b"[" * 501))
    with index(compress(content)) as found:
        assert document(found, "a") == b"[" * 500
        with pytest.raises(TarReadError, match="more than 1000 bytes together"):
            document(found, "b")
