"""One bash for the blocks of a document, which keeps variables, folder and background jobs."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.processes import POLL_SECONDS

STOP_SECONDS = 30

# The first command that fails ends a block, as `set -e` would end the whole shell.
STOP_AT_ERRORS = """\
set -o pipefail
trap 'set -- $?; echo "(exit status $1: $BASH_COMMAND)" >&2; return $1' ERR
"""


@dataclass(frozen=True)
class Done:
    status: int
    output: str


class HungError(Exception):
    """A command did not end in time; says what it wrote."""


class EndedError(Exception):
    """A command that was to go on has ended; says what it wrote."""


class Shell:
    """Use as a context manager: leaving it ends the shell and all that it started.

    Args:
        folder: where it begins.
        records: a folder for what the commands write.
        patience: seconds in which a block has to end.
    """

    def __init__(
        self, folder: Path, records: Path, env: Mapping[str, str], patience: float
    ) -> None:
        self._records = records
        self._patience = patience
        self._count = 0
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, commands: str, *, on_terminal: bool = False) -> Done:
        """Run them in the shell itself, up to the first that fails; output and errors together.

        ``on_terminal`` has tables drawn as there.

        Raises:
            HungError: they did not end in time.
        """
        terminal = "export TTY_COMPATIBLE=1" if on_terminal else "unset TTY_COMPATIBLE"
        script, output = self._files(f"{STOP_AT_ERRORS}{terminal}\n{commands}\n")
        self._send(f"source {script} </dev/null >{output} 2>&1; echo $?")
        assert self._bash.stdout
        if not select.select([self._bash.stdout], [], [], self._patience)[0]:
            raise HungError(_text(output))
        return Done(self._answer(), _text(output))

    def start(self, command: str, complete: Callable[[str], bool]) -> int:
        """Leave it running, and return its process id once its output is complete.

        Raises:
            EndedError: it ended before.
            HungError: that was not so in time.
        """
        script, output = self._files(f"exec env {command}\n")
        self._send(f"bash {script} </dev/null >{output} 2>&1 & echo $!")
        pid = self._answer()
        deadline = time.monotonic() + self._patience
        while not complete(_text(output)):
            if time.monotonic() > deadline:
                raise HungError(_text(output))
            self._send(f"kill -0 {pid}; echo $?")
            if self._answer():
                raise EndedError(_text(output))
            time.sleep(POLL_SECONDS)
        return pid

    def stop(self, pid: int) -> None:
        """End what `start` started, as Ctrl-C would, and wait for it."""
        self.run(f"kill {pid}; wait {pid} || true")

    def _files(self, text: str) -> tuple[Path, Path]:
        self._count += 1
        script = self._records / f"{self._count}.sh"
        script.write_text(text)
        return script, script.with_suffix(".out")

    def _answer(self) -> int:
        """The number that the shell writes; -1 once it is gone."""
        assert self._bash.stdout
        return int(self._bash.stdout.readline() or -1)

    def _send(self, line: str) -> None:
        assert self._bash.stdin
        self._bash.stdin.write(f"{line}\n".encode())
        self._bash.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The shell is the parent of what it started, so it sees the end of that.
        self._send("trap '' TERM; kill 0; wait; exit")
        try:
            self._bash.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()


def _text(output: Path) -> str:
    return output.read_text(errors="replace") if output.exists() else ""
