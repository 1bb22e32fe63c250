"""What pushes know about blobs, in an SQLite file that several processes may use. Blocking.

Sources: https://www.sqlite.org/wal.html and https://www.sqlite.org/rowidtable.html
"""

import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from ..descriptors import BlobInfo

FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)
"""What any use of the file may raise; the names in a damaged one may not be UTF-8."""

_PRIMARY = 0xFF
"""The bits of an error code that hold its primary code: https://www.sqlite.org/rescode.html"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NAME = "ledger-2.sqlite3"
"""Numbered: a release that needs other tables uses another file."""
_MOST = 10_000
"""The most rows of a table, about 3 MB. The least recently used are deleted first."""
_LOCKED_SECONDS = 2.0
"""How long to wait for a process that has locked the file: writing a row takes a millisecond."""
_ASK_AGAIN_SECONDS = 0.005
_MOUNT_CANDIDATES = 3
"""Repositories to try to mount from: one is nearly always enough, each costs a request."""

# A row that is written again gets a new rowid, so the rowids give the order of last use.
_TABLE = """
CREATE TABLE IF NOT EXISTS {name} ({columns}, checksum INTEGER, UNIQUE ({key}));
CREATE TRIGGER IF NOT EXISTS bound_{name} AFTER INSERT ON {name} BEGIN
  DELETE FROM {name} WHERE rowid <= NEW.rowid - {most};
END;
"""


class _DamagedRowError(sqlite3.DatabaseError):
    """A row is not what was written. SQLite itself notices only pages that are malformed."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class LedgerFile:
    """The file in a folder that nobody else may write to. Any use may raise FAILURES."""

    def __init__(self, folder: Path) -> None:
        path = ledger_path(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        for each in (folder, path):
            _check_ours(each)
        self._connection = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None)
        # Text that is not UTF-8 is damaged, and the checksum reveals it.
        self._connection.text_factory = lambda text: text.decode(errors="replace")
        try:
            self._prepare()
        except FAILURES:
            self.close()
            raise

    def encoded(self, key: str) -> BlobInfo | None:
        """The descriptor of the blob ``key`` once encoded."""
        rows = self._connection.execute(
            "SELECT digest, size, media_type, checksum, (SELECT max(rowid) FROM encoded) - rowid"
            " FROM encoded WHERE key = ?",
            (key,),
        )
        for digest, size, media_type, checksum, age in rows.fetchall():
            _check(checksum, key, digest, size, media_type)
            blob = BlobInfo(digest, size, media_type)
            if age > _MOST // 2:
                self.remember_encoded(key, blob)
            return blob
        return None

    def remember_encoded(self, key: str, blob: BlobInfo) -> None:
        row = key, blob.digest, blob.size, blob.media_type
        self._connection.execute(
            "REPLACE INTO encoded VALUES (?, ?, ?, ?, ?)", (*row, _checksum(*row))
        )

    def repositories(self, registry: str, digest: str) -> Sequence[str]:
        """Repositories of the registry that held the blob, the last one first."""
        rows = self._connection.execute(
            "SELECT repository, checksum FROM holders WHERE registry = ? AND digest = ?"
            " ORDER BY rowid DESC LIMIT ?",
            (registry, digest, _MOUNT_CANDIDATES),
        )
        found = []
        for repository, checksum in rows:
            _check(checksum, registry, digest, repository)
            found.append(repository)
        return found

    def remember_repository(self, registry: str, repository: str, digest: str) -> None:
        row = registry, digest, repository
        self._connection.execute(
            "REPLACE INTO holders VALUES (?, ?, ?, ?)", (*row, _checksum(*row))
        )

    def forget_repository(self, registry: str, repository: str, digest: str) -> None:
        self._connection.execute(
            "DELETE FROM holders WHERE registry = ? AND digest = ? AND repository = ?",
            (registry, digest, repository),
        )

    def close(self) -> None:
        self._connection.close()

    def _prepare(self) -> None:
        # Writes do not wait for the disk. A power cut may damage the file, sometimes in ways that
        # only the checksums reveal. It then starts empty.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._write_ahead()
        self._connection.executescript(
            _TABLE.format(
                name="encoded",
                columns="key TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,"
                " media_type TEXT NOT NULL",
                key="key",
                most=_MOST,
            )
            + _TABLE.format(
                name="holders",
                columns="registry TEXT NOT NULL, digest TEXT NOT NULL, repository TEXT NOT NULL",
                key="registry, digest, repository",
                most=_MOST,
            )
        )

    def _write_ahead(self) -> None:
        """Switch a new file to a write-ahead log; the setting is permanent.

        SQLite does not wait for locks here, because a reader becomes the writer: two processes that
        switch a new file at the same time would wait for each other for ever.
        """
        deadline = time.monotonic() + _LOCKED_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                locked = error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY
                if not locked or time.monotonic() > deadline:
                    raise
            time.sleep(_ASK_AGAIN_SECONDS)


def ledger_path(folder: Path) -> Path:
    """Where the file is, with others beside it whose names begin with its own."""
    return folder / _NAME


def discard_damaged(folder: Path, error: Exception) -> bool:
    """Delete the file if the error says that it is damaged. The next use makes a new one."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code not in _DAMAGED and not isinstance(error, UnicodeDecodeError):
        return False
    for path in folder.glob(f"{_NAME}*"):
        path.unlink(missing_ok=True)
    return True


def _checksum(*values: object) -> int:
    """Against accidents only: anyone who may write to the file is trusted."""
    return zlib.crc32(ascii(values).encode())


def _check(checksum: object, *values: object) -> None:
    if checksum != _checksum(*values):
        raise _DamagedRowError("a row is not what was written")


def _check_ours(path: Path) -> None:
    """Raises PermissionError if other users may write to a file that is trusted here."""
    found = path.stat()
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{path} belongs to another user, or others may write to it")
