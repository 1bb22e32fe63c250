"""Start a server process, wait until it answers, stop it by its own pid."""

import os
import shutil
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Self

import pytest

POLL_SECONDS = 0.02
HANG_SECONDS = 60
"""How long to wait for what normally happens within moments."""
START_SECONDS = 3 * HANG_SECONDS
"""The same where a program starts first: on a busy machine loading Python takes longest."""

_held_ports: deque[socket.socket] = deque(maxlen=100)


def unavailable(reason: str) -> NoReturn:
    """A server that a test needs is not installed: skip on a workstation, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_program(name: str) -> str:
    """The path of an installed program; skips or fails where there is none."""
    # Debian installs daemons in sbin, which a plain user's PATH may lack.
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    path = shutil.which(name, path=search)
    return path or unavailable(f"{name} is not installed")


def free_port() -> int:
    """A port that refuses connections until a server of this test listens there.

    It stays bound, so that nobody else is given it before that server starts, nor while it is
    away. Linux lets a server bind it too, as long as nobody listens there and both have
    SO_REUSEADDR, which servers set.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    if len(_held_ports) == _held_ports.maxlen:
        _held_ports.popleft().close()
    _held_ports.append(holder)
    port: int = holder.getsockname()[1]
    return port


class ManagedProcess:
    """A child process with its output in a log file, in whose folder it runs.

    Use as a context manager: leaving it ends the process, whatever happened in between.
    """

    def __init__(
        self, argv: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.argv = argv
        self.log_path = log_path
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def returncode(self) -> int | None:
        return self._started.poll()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self.log_path.parent,
            )

    def wait_ready(self, ready: Callable[[], bool], timeout: float = START_SECONDS) -> None:
        """Poll until `ready()`; fails the test if the process ends or the time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.returncode is not None or time.monotonic() > deadline:
                ended = "not ready in time" if self.returncode is None else "ended at start"
                pytest.fail(f"{' '.join(self.argv)}: {ended}\n{self.log}", pytrace=False)
            time.sleep(POLL_SECONDS)

    def signal(self, number: int) -> None:
        self._started.send_signal(number)

    def wait(self, timeout: float = HANG_SECONDS) -> int:
        return self._started.wait(timeout)

    def terminate(self, timeout: float = HANG_SECONDS) -> int:
        """SIGTERM, then wait; the exit status."""
        self._started.terminate()
        return self._started.wait(timeout)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or cleaned up."""
        self._started.kill()
        self._started.wait()

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"not started: {self.argv[0]}")
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.returncode is None:
            # A stopped (SIGSTOP) process ignores SIGTERM, so go straight to the certain end.
            self.kill()
