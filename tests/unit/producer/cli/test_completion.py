"""What a shell offers when Tab is pressed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from producer.cli.commands import COMMANDS
from tests.support.servers import clean_environment

SHELLS = ("bash", "zsh", "fish")


def completions(shell: str, typed: str) -> str:
    """As the function that ``--install-completion`` installs asks for them."""
    words = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from producer.cli import main; main()"],
        env={**os.environ, **words, "_PUSH_QUEUE_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("push-queue enq", "enqueue"),
        ("push-queue enqueue --comp", "--compression"),
        ("push-queue enqueue --compression z", "zstd"),
        ("push-queue registries p", "pause"),
    ],
)
def test_commands_options_and_values(shell: str, typed: str, offered: str) -> None:
    assert offered in completions(shell, typed)


@pytest.mark.parametrize("shell", SHELLS)
def test_what_begins_otherwise_is_not_offered(shell: str) -> None:
    assert "status" not in completions(shell, "push-queue enq")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_what_a_command_does_is_not_cut(shell: str) -> None:
    assert COMMANDS["cancel"].summary in completions(shell, "push-queue c")


def test_a_home_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    done = subprocess.run(
        # The shell is told by the parent process; with a second command bash stays that.
        ["bash", "-c", '"$0" -m producer --install-completion; exit $?', sys.executable],
        env=clean_environment(HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"push-queue: error: {home}")
    assert line.endswith(" cannot be used: File exists")
    assert done.returncode == 1
