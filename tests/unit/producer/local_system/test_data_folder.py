import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest

from producer.errors import CannotStartError
from producer.local_system import data_folder
from producer.local_system.data_folder import locked

NO_PROCESS = 2**31 - 1
"""No id of a process is as great."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "share" / "push-queue"


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def open_to_others(folder: Path) -> None:
    folder.chmod(0o755)


async def test_it_is_made_for_its_user_alone(folder: Path) -> None:
    async with locked(folder):
        assert mode(folder) == 0o700


async def test_one_that_others_may_enter_is_closed(folder: Path) -> None:
    async with locked(folder):
        open_to_others(folder)
    async with locked(folder):
        assert mode(folder) == 0o700


async def test_one_system_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "LOCK_SECONDS", 0.01)
    async with locked(folder):
        with pytest.raises(CannotStartError, match=rf"{folder} \(process {os.getpid()}\)"):
            async with locked(folder):
                pass
    async with locked(folder):
        pass


async def test_what_inherited_the_lock_holds_it_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "LOCK_SECONDS", 0.01)
    async with locked(folder) as lock:
        inherited = os.dup(lock)
    with pytest.raises(CannotStartError):
        async with locked(folder):
            pass
    os.close(inherited)
    async with locked(folder):
        pass


async def test_what_a_killed_system_has_left_is_waited_for_longer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "LOCK_SECONDS", 0.0)
    monkeypatch.setattr(data_folder, "_POLL_SECONDS", 0.0)
    async with locked(folder) as lock:
        left = os.dup(lock)
    os.pwrite(left, f"{NO_PROCESS}".encode(), 0)

    async def start() -> None:
        async with locked(folder):
            pass

    starting = asyncio.create_task(start())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not starting.done()
    os.close(left)
    await starting


async def test_one_on_a_full_disk_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(CannotStartError, match=f"{folder} cannot be used .No space left"):
        async with locked(folder):
            pass


async def test_another_user_s_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with locked(folder):
        open_to_others(folder)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(CannotStartError, match="belongs to another user; set XDG_DATA_HOME"):
        async with locked(folder):
            pass
    assert mode(folder) == 0o755, "left as it is"


async def test_one_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStartError, match=r"Not a directory.*XDG_DATA_HOME"):
        async with locked(tmp_path / "file" / "push-queue"):
            pass
