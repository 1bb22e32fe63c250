"""A tar that comes over a pipe: what is read while it comes, kept, and said when it does not."""

import asyncio
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry_api_v2_client import ImageArchive, TarReadError, TarStream
from registry_api_v2_client.archive import tar_stream
from registry_api_v2_client.archive.arrivals import Arrival
from registry_api_v2_client.exceptions import RegistryError
from tests.support.images import (
    ARCHIVES,
    Archive,
    Member,
    docker_legacy,
    gzip_bytes,
    layer_tar,
    make_image,
    oci_blobs,
    tar_bytes,
)
from tests.support.pipes import piped

IMAGE = make_image()
TAR = tar_bytes(oci_blobs((IMAGE,)))


async def layers_of(stream: TarStream) -> list[Arrival]:
    return [layer async for layer in stream.layers()]


async def fault(content: bytes) -> str:
    with piped([content]) as pipe, TarStream(pipe, ahead=9) as stream:
        with pytest.raises(RegistryError) as caught:
            await layers_of(stream)
        return str(caught.value)


def content_of(stream: TarStream, layer: Arrival) -> bytes:
    buffer = bytearray(layer.member.size)
    with stream.files.open(layer.member) as reader:
        assert reader.readinto(memoryview(buffer)) == layer.member.size
        assert reader.readinto(memoryview(bytearray(1))) == 0
    return bytes(buffer)


@pytest.mark.parametrize("name", ARCHIVES)
async def test_it_holds_what_the_file_holds(name: str, tmp_path: Path) -> None:
    built: Archive = ARCHIVES[name](tmp_path)
    with piped([built.path.read_bytes()]) as pipe, TarStream(pipe, ahead=9) as stream:
        await layers_of(stream)
        with ImageArchive(stream) as streamed, ImageArchive(built.path) as archive:
            found, wanted = streamed.select(), archive.select()
            assert list(found.digests) == list(wanted.digests)
            assert [(one.tags, one.config) for one in found.images] == [
                (one.tags, one.config) for one in wanted.images
            ]


@pytest.mark.parametrize("make", [oci_blobs, docker_legacy])
async def test_layers_are_given_with_their_digests_and_read_again_and_again(make: object) -> None:
    members = make((IMAGE,))  # type: ignore[operator]
    with piped([tar_bytes(members)]) as pipe, TarStream(pipe, ahead=9) as stream:
        layers = await layers_of(stream)
        assert {content_of(stream, layer) for layer in layers} == set(IMAGE.layers)
        assert {content_of(stream, layer) for layer in layers} == set(IMAGE.layers)
        assert [layer.digest() for layer in layers] == [
            stream.files.known_digest(layer.member) for layer in layers
        ]
        assert {layer.digest() for layer in layers} == set(IMAGE.diff_ids)


async def test_a_layer_is_given_and_read_before_the_next_one_comes() -> None:
    big = layer_tar({"data": os.urandom(3 << 20)})
    head, rest = tar_bytes([Member("a/layer.tar", big)]), tar_bytes(docker_legacy((IMAGE,)))
    read = threading.Event()

    def parts() -> Iterator[bytes]:
        yield head[: 512 + (2 << 20)]
        read.wait(60)
        yield head[512 + (2 << 20) : 512 + -(-len(big) // 512) * 512] + rest

    with piped(parts()) as pipe, TarStream(pipe, ahead=9) as stream:
        layers = aiter(stream.layers())
        first = await anext(layers)
        with stream.files.open(first.member) as reader:
            buffer = bytearray(1 << 20)
            assert reader.readinto(memoryview(buffer)) == 1 << 20
            assert bytes(buffer) == big[: 1 << 20]
        assert not first.complete
        read.set()
        assert first.member not in [layer.member async for layer in layers]


async def test_no_more_layers_take_room_than_may_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go, waits = threading.Event(), threading.Event()

    def parts() -> Iterator[bytes]:
        go.wait(60)
        yield TAR

    with piped(parts()) as pipe, TarStream(pipe, ahead=1) as stream:
        wait_for = stream._changed.wait_for

        def watched(predicate: Callable[[], bool], timeout: float | None = None) -> bool:
            if not predicate():
                waits.set()
            return wait_for(predicate, timeout)

        monkeypatch.setattr(stream._changed, "wait_for", watched)
        go.set()
        layers = aiter(stream.layers())
        first = await anext(layers)
        assert await asyncio.to_thread(waits.wait, 60)
        assert list(stream.files.arrivals.values()) == [first]
        first.settle(drop=True)
        second = await anext(layers)
        second.settle(drop=True)
        assert [layer async for layer in layers] == []


async def test_what_has_been_sent_is_not_read_again() -> None:
    with piped([TAR]) as pipe, TarStream(pipe, ahead=9) as stream:
        first, *_ = await layers_of(stream)
        first.settle(drop=True)
        with pytest.raises(TarReadError, match="standard input cannot be read again"):
            stream.files.open(first.member)
        assert first.member not in [layer.member for layer in await layers_of(stream)]
        assert stream.sent == [first]


async def test_what_is_neither_layer_nor_document_is_kept_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tar_stream, "MAX_JSON", 1000)
    large, small = os.urandom(2000), os.urandom(500)
    members = [Member("large", large), Member("small", small), *docker_legacy((IMAGE,))]
    with piped([tar_bytes(members)]) as pipe, TarStream(pipe, ahead=9) as stream:
        assert "large" not in [layer.member.name for layer in await layers_of(stream)]
        for name, content in {"large": large, "small": small}.items():
            member = stream.files.find(name)
            assert member
            buffer = bytearray(member.size)
            with stream.files.open(member) as reader:
                reader.readinto(memoryview(buffer))
            assert bytes(buffer) == content


async def test_a_file_system_is_not_taken_for_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [Member(f"usr/share/man/{number}.gz", gzip_bytes(b"x")) for number in range(65)]
    assert "neither manifest.json nor index.json was in it" in await fault(tar_bytes(files))
    monkeypatch.setattr(tar_stream, "MAX_DOCUMENTS", 0)
    assert "more than 64 large files" in await fault(tar_bytes(files))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "standard input is empty"),
        (b"hello\n", "is not a readable tar: it is cut short in the header at byte 0"),
        (bytes(range(256)) * 8, "is not a readable tar"),
        (TAR[:20_000], r"standard input ends in the middle of blobs/sha256/"),
        (tar_bytes(oci_blobs((IMAGE,))[:3]), "neither manifest.json nor index.json was in it"),
        (gzip_bytes(TAR)[:-20_000], "the compressed data is broken, cut short"),
    ],
)
async def test_a_writer_that_fails_is_suspected(content: bytes, what: str) -> None:
    said = await fault(content)
    assert what in said
    assert "did the command that writes it fail?" in said or "compressed" in said


async def test_a_full_disk_names_the_folder_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "w"))
    said = await fault(TAR)
    assert "No space left on device; set TMPDIR" in said
    assert str(tmp_path) in said


async def test_a_reader_is_called_back_and_fails_with_the_stream() -> None:
    done = threading.Event()

    def parts() -> Iterator[bytes]:
        yield TAR[:20_000]
        done.wait(60)

    with piped(parts()) as pipe, TarStream(pipe) as stream:
        layer = await anext(aiter(stream.layers()))
        reader, other = stream.files.open(layer.member), stream.files.open(layer.member)
        reader.interrupt()
        with pytest.raises(TarReadError, match="is read no more"):
            reader.readinto(memoryview(bytearray(layer.member.size)))
        done.set()
        with pytest.raises(TarReadError, match="ends in the middle"):
            other.readinto(memoryview(bytearray(layer.member.size)))


async def test_a_bug_where_it_is_read_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tar_stream, "compression_of_layer", fail)
    with piped([TAR]) as pipe, TarStream(pipe) as stream, pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(60):
            await layers_of(stream)


def test_closing_waits_for_no_writer() -> None:
    reader, writer = os.pipe()
    TarStream(reader).close()
    os.close(writer)
    os.close(reader)
