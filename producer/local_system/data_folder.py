"""The folder that keeps a user's jobs: for that user alone, and for one system at a time."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from producer.errors import CannotStartError

LOCK_SECONDS = 3.0
"""How long a system that is about to end may hold the folder."""

LEFT_SECONDS = 15.0
"""How long the Valkey of a killed system may: it ends once its disk has what it wrote."""

_POLL_SECONDS = 0.05


@asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[int]:
    """Hold the folder, which is made if need be, within the block.

    The result is a file descriptor. A child that inherits it holds the folder, too, until it ends.

    Raises:
        CannotStartError: another system holds it, or it cannot be used.
    """
    try:
        _prepare(folder)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        await _take(lock, folder)
        _sign(lock, folder)
        yield lock
    finally:
        os.close(lock)


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise CannotStartError(
            f"{folder} belongs to another user; set XDG_DATA_HOME to a folder of your own"
        )
    # A user who can reach the socket in it can do all that a worker can.
    folder.chmod(0o700)


async def _take(lock: int, folder: Path) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    while not _taken(lock):
        holder = os.pread(lock, 20, 0).decode(errors="replace")
        if clock() - began > (LOCK_SECONDS if _runs(holder) else LEFT_SECONDS):
            raise CannotStartError(
                f"push-queue up is running already in {folder} (process {holder}); stop that one, "
                "or set XDG_DATA_HOME to another folder"
            )
        await asyncio.sleep(_POLL_SECONDS)


def _runs(process: str) -> bool:
    """Whether it runs, as far as can be told: it signs shortly after it has taken the lock."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        pass
    return True


def _sign(lock: int, folder: Path) -> None:
    """Say in the lock which process holds it."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> CannotStartError:
    return CannotStartError(
        f"{folder} cannot be used ({error.strerror}); set XDG_DATA_HOME to another folder"
    )


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
