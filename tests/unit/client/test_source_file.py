"""The file that a tar is read from: one file, whatever happens to its name, and unchanged."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry_api_v2_client import (
    SourceChangedError,
    SourceFile,
    SourceUnreadableError,
    TarReadError,
    open_source,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.tar"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def source(path: Path) -> Iterator[SourceFile]:
    with SourceFile(path) as file:
        yield file


def test_readers_have_positions_of_their_own(source: SourceFile) -> None:
    with source.reader() as one, source.reader() as other:
        assert one.read(4) == b"0123"
        assert other.read(2) == b"01"
        assert one.read() == b"456789"
        assert one.seek(-3, os.SEEK_END) == 7
        assert one.seek(1, os.SEEK_CUR) == one.tell() == 8
        assert one.read() == b"89"
        assert one.read() == b""


def test_a_reader_outlives_its_source(source: SourceFile, path: Path) -> None:
    reader = source.reader()
    source.close()
    with path.open("rb"), reader:  # which would take the number of a descriptor that is free
        assert reader.read() == b"0123456789"


def test_a_swap_of_the_name_goes_unnoticed(source: SourceFile, path: Path) -> None:
    path.with_suffix(".new").write_bytes(b"another")
    path.with_suffix(".new").rename(path)
    source.check_unchanged()
    with source.reader() as reader:
        assert reader.read() == b"0123456789"


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def write_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [append, write_in_place, lambda path: os.truncate(path, 3)])
def test_a_change_is_an_error(
    change: Callable[[Path], None], source: SourceFile, path: Path
) -> None:
    source.check_unchanged()
    change(path)
    with pytest.raises(SourceChangedError, match=r"app\.tar was changed") as caught:
        source.check_unchanged()
    assert (caught.value.kind, caught.value.retryable) == ("source_changed", False)


def test_what_makes_no_sense_since_the_file_changed(source: SourceFile, path: Path) -> None:
    with pytest.raises(TarReadError), source.unchanged():
        raise TarReadError("cut short")
    append(path)
    with pytest.raises(SourceChangedError), source.unchanged():
        raise TarReadError("cut short")


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(SourceUnreadableError, match="is not a file"):
            SourceFile(path)


def test_who_may_not_read_it_is_named(tmp_path: Path) -> None:
    def refuse(path: str, _: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    who = f"Permission denied for user {os.geteuid()}, group {os.getegid()}; let them"
    with pytest.raises(SourceUnreadableError, match=who):
        SourceFile(tmp_path / "app.tar", refuse)


@pytest.mark.parametrize("name", ["\ud800.tar", "\ud800/app.tar"])
def test_a_name_that_the_locale_lacks_is_refused_in_words(name: str) -> None:
    with pytest.raises(SourceUnreadableError, match=r"start it with LC_ALL=C\.UTF-8"):
        open_source(f"/images/{name}")
