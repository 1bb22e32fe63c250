"""Run the command line, and read what it printed."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess


def push_queue(
    *arguments: object, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 60
) -> CompletedProcess[str]:
    """`push-queue` with these arguments, in this environment alone, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "producer", *map(str, arguments)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def error_of(done: CompletedProcess[str]) -> str:
    """The one line that an error ends in."""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("push-queue: error: "), done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return line
