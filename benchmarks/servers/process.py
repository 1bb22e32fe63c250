"""Servers as processes: started, waited for, ended by their own process id."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ContenderError
from ..programs import environment, find_program, last_line

START_SECONDS = 20.0
STOP_SECONDS = 30.0


@contextmanager
def server(
    argv: Sequence[str | Path], log: Path, **changes: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, its output in ``log``, in whose folder it runs.

    Raises:
        ContenderError: it is not installed.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [find_program(str(argv[0])), *argv[1:]],
            env=environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        _stop(process)


def keep_waiting(process: subprocess.Popen[bytes], log: Path, since: float) -> None:
    """Keep waiting for a server that was started at monotonic time ``since``.

    Raises:
        ContenderError: the server has ended, or takes longer than ``START_SECONDS``.
    """
    if process.poll() is not None or time.monotonic() > since + START_SECONDS:
        raise ContenderError(f"{log.stem} does not start: {last_line(log.read_text())}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
