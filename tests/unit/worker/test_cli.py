"""The `push-worker` command: what needs no Redis."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import free_port
from tests.support.servers import clean_environment
from worker.cli import app


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit status."""
    monkeypatch.setattr(sys, "argv", ["push-worker", *arguments])
    with pytest.raises(SystemExit) as ended:
        app.run()
    return ended.value.code


@pytest.mark.parametrize("typed", ["--brst", "extra", "--burst=3"])
def test_what_is_mistyped_is_said_in_one_line(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, typed) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("push-worker: error: ")
    assert typed.partition("=")[0] in line
    assert line.endswith("(see `push-worker --help`)")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_exit_status(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, option) in (None, 0)
    words = " ".join(capsys.readouterr().out.split())
    assert "0 success, 1 no worker alive here" in words
    assert "2 bad input or settings, 3 Redis cannot be reached or refuses login or rights." in words


CHECKED = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from worker.cli import main
sys.argv = ["push-worker", "--check"]
main()
"""


def test_whether_a_worker_is_alive_is_told_without_loading_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECKED],
        env=clean_environment(PUSH_QUEUE_REDIS_URL=f"redis://127.0.0.1:{free_port()}"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    modules = set(done.stdout.split())
    assert "worker.cli.app" in modules
    assert not modules & {"aiohttp", "worker.runtime", "registry_api_v2_client.client"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_disk_that_is_full_is_said_in_one_line(option: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "worker", option],
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.stderr == ("push-worker: error: cannot write the output: No space left on device\n")
    assert done.returncode == 1
