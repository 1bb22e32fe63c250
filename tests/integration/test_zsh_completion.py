"""Completion in a real zsh, as ``--install-completion`` sets it up."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import require_program
from tests.support.servers import clean_environment

pytestmark = pytest.mark.integration

# zsh has these only while it completes; what is offered ends up in _arguments.
FIRST_TAB = """
compdef() {}
_arguments() { print -r -- "$@" }
fpath=(~/.zfunc)
autoload -Uz _push-queue
words=(push-queue enq) CURRENT=2
_push-queue
"""


def test_the_first_tab_of_a_shell_completes(tmp_path: Path) -> None:
    zsh = require_program("zsh")
    program = tmp_path / "bin" / "push-queue"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m producer "$@"\n')
    program.chmod(0o755)
    environment = clean_environment(HOME=str(tmp_path))
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"

    def run(script: str) -> str:
        done = subprocess.run(
            [zsh, "-f", "-c", script],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    # The shell is told by the parent process; with a second command zsh stays that.
    assert "zsh completion installed" in run("push-queue --install-completion && true")
    assert '"enqueue":' in run(FIRST_TAB)
