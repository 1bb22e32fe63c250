"""What a shell offers when Tab is pressed."""

import os
import subprocess
import sys

import pytest

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
