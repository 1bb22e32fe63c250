"""Knowledge about blobs outlives the process, and its file cannot make a push fail."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from registry_api_v2_client import BlobInfo, DiskLedger
from registry_api_v2_client.push import ledger_file
from registry_api_v2_client.push.ledger_file import LedgerFile, ledger_path

KEY = "sha256:aa:gzip"
BLOB = BlobInfo("sha256:bb", 7, "application/x")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on" / "the way"


@contextmanager
def locked(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(ledger_path(folder), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


async def noted(folder: Path) -> DiskLedger:
    """A ledger that has noted something there, and is closed."""
    async with DiskLedger(folder) as ledger:
        await ledger.remember_encoded(KEY, BLOB)
        await ledger.remember_repository("host", "app", BLOB.digest)
    return ledger


async def test_the_next_process_knows(folder: Path) -> None:
    await noted(folder)
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded(KEY) == BLOB
        assert list(await ledger.repositories("host", BLOB.digest)) == ["app"]
        assert await ledger.encoded("sha256:aa:zstd") is None
        assert not await ledger.repositories("other", BLOB.digest)
        await ledger.forget_repository("host", "app", BLOB.digest)
    async with DiskLedger(folder) as ledger:
        assert not await ledger.repositories("host", BLOB.digest)
        assert not ledger.trouble


async def test_the_folder_may_be_named_by_a_string(folder: Path) -> None:
    async with DiskLedger(str(folder)) as ledger:
        await ledger.remember_encoded(KEY, BLOB)
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded(KEY) == BLOB


async def test_other_processes_do_not_see_interrupted_uploads(folder: Path) -> None:
    async with DiskLedger(folder) as one, DiskLedger(folder) as other:
        await one.remember_upload("host", "app", KEY, "http://host/v2/app/blobs/uploads/1")
        assert await one.upload("host", "app", KEY)
        assert await other.upload("host", "app", KEY) is None


async def test_repositories_that_held_it_last_come_first(folder: Path) -> None:
    async with DiskLedger(folder) as ledger:
        for name in ("a", "b", "c", "d", "b"):
            await ledger.remember_repository("host", name, BLOB.digest)
    async with DiskLedger(folder) as ledger:
        assert list(await ledger.repositories("host", BLOB.digest)) == ["b", "d", "c"]


def modes(folder: Path) -> dict[Path, int]:
    """Of the folder and what is in it."""
    paths = (folder, *folder.iterdir()) if folder.exists() else ()
    return {path: path.stat().st_mode & 0o777 for path in paths}


async def test_nobody_else_may_read_or_write_it(folder: Path) -> None:
    async with DiskLedger(folder) as ledger:
        await ledger.remember_encoded(KEY, BLOB)
        found = modes(folder)
    assert found.pop(folder) == 0o700
    assert len(found) == 3, "with what SQLite has beside it"
    assert set(found.values()) == {0o600}


async def test_nothing_is_made_where_nothing_is_asked(folder: Path) -> None:
    async with DiskLedger(folder):
        pass
    assert not modes(folder)


def test_what_was_of_no_use_for_longest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "_MOST", 10)
    with closing(LedgerFile(tmp_path)) as file:
        for number in range(100):
            file.remember_encoded(f"new {number}", BLOB)
            file.remember_repository("host", f"app/{number}", BLOB.digest)
            if number >= 3:
                assert file.encoded("new 3"), "it is of use"
        assert file.encoded("new 4") is None
        assert file.encoded("new 99") == BLOB
    with closing(sqlite3.connect(ledger_path(tmp_path))) as connection:
        for table in ("encoded", "holders"):
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert count <= 10


# What may be wrong with the file


def in_place_of_the_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")


def in_place_of_the_file(folder: Path) -> None:
    ledger_path(folder).mkdir(parents=True)


def others_may_write_to_the_folder(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)


def others_may_write_to_the_file(folder: Path) -> None:
    LedgerFile(folder).close()
    ledger_path(folder).chmod(0o666)


def garbage(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    ledger_path(folder).write_bytes(b"no database" * 1000)


def damaged_within(folder: Path) -> None:
    with closing(LedgerFile(folder)) as file:
        for number in range(500):
            file.remember_encoded(f"{KEY}{number}", BLOB)
    with ledger_path(folder).open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(os.urandom(os.fstat(damaged.fileno()).st_size - 4096))


async def changed(folder: Path, statement: str) -> None:
    await noted(folder)
    with closing(sqlite3.connect(ledger_path(folder), isolation_level=None)) as connection:
        connection.execute(statement)


def a_name_that_is_no_text(folder: Path) -> None:
    LedgerFile(folder).close()
    path = ledger_path(folder)
    path.write_bytes(path.read_bytes().replace(b"UNIQUE (key)", b"UNIQUE (k\xc1y)"))


def other_tables(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    ledger_path(folder).touch(mode=0o600)
    with closing(sqlite3.connect(ledger_path(folder))) as connection:
        connection.execute("CREATE TABLE encoded (other TEXT)")


@pytest.mark.parametrize(
    "spoil",
    [
        in_place_of_the_folder,
        in_place_of_the_file,
        others_may_write_to_the_folder,
        others_may_write_to_the_file,
        garbage,
        damaged_within,
        a_name_that_is_no_text,
        other_tables,
    ],
)
async def test_a_file_that_cannot_be_used_is_done_without(
    spoil: Callable[[Path], None], folder: Path
) -> None:
    spoil(folder)
    ledger = await noted(folder)
    assert str(folder) in ledger.trouble
    assert len(ledger.trouble.splitlines()) == 1
    async with DiskLedger(folder) as ledger:
        await ledger.remember_encoded(KEY, BLOB)
        assert await ledger.encoded(KEY) == BLOB, "what this process knows"


async def test_a_folder_that_cannot_be_made_is_not_to_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    trouble = (await noted(tmp_path / "file" / "folder")).trouble
    assert trouble.endswith(f"{tmp_path}/file/folder are not used: Not a directory")


@pytest.mark.parametrize("spoil", [garbage, damaged_within, a_name_that_is_no_text])
async def test_a_damaged_file_is_begun_anew(spoil: Callable[[Path], None], folder: Path) -> None:
    spoil(folder)
    assert (await noted(folder)).trouble.endswith("it was deleted")
    assert not (await noted(folder)).trouble
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded(KEY) == BLOB


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE encoded SET digest = 'sha256:cc'",
        "UPDATE encoded SET size = 'many'",
        "UPDATE encoded SET media_type = CAST(x'ff' AS TEXT)",
        "UPDATE encoded SET key = 'sha256:aa:zstd'",
        "UPDATE encoded SET checksum = NULL",
    ],
)
async def test_a_row_that_is_not_what_was_written_is_not_believed(
    statement: str, folder: Path
) -> None:
    await changed(folder, statement)
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded("sha256:aa:zstd") is None
        assert await ledger.encoded(KEY) is None
        assert ledger.trouble.endswith("it was deleted")


async def test_a_repository_that_is_not_what_was_written_is_not_asked(folder: Path) -> None:
    await changed(folder, "UPDATE holders SET repository = x'61'")
    async with DiskLedger(folder) as ledger:
        assert not await ledger.repositories("host", BLOB.digest)
        assert ledger.trouble.endswith("it was deleted")


async def test_only_a_damaged_file_is_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "_LOCKED_SECONDS", 0.01)
    await noted(folder)
    with locked(folder):
        assert (await noted(folder)).trouble
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded(KEY) == BLOB


async def test_what_is_another_user_s_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await noted(folder)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded(KEY) is None
        assert "another user" in ledger.trouble


async def test_where_there_is_no_sqlite_it_is_done_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, ledger_file.__name__)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert "sqlite3" in (await noted(folder)).trouble


async def test_a_file_that_stays_locked_is_done_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "_LOCKED_SECONDS", 0.01)
    await noted(folder)
    async with DiskLedger(folder) as ledger:
        with locked(folder):
            assert await ledger.encoded(KEY) == BLOB, "it can be read"
            await ledger.remember_encoded("a second", BLOB)
            assert "locked" in ledger.trouble
        await ledger.remember_encoded("a third", BLOB)
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded("a third") is None, "nobody waits for it again and again"


async def test_a_locked_file_holds_up_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "_LOCKED_SECONDS", 60.0)
    await noted(folder)
    async with DiskLedger(folder) as ledger:
        assert await ledger.encoded(KEY) == BLOB
        with locked(folder) as connection:
            writing = asyncio.create_task(ledger.remember_encoded("other", BLOB))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not writing.done()
            connection.execute("COMMIT")
            await writing
        assert not ledger.trouble
