"""Programs that are kept running; here small ones of the shell."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from producer.errors import PartFailedError
from producer.local_system.part import LONGEST_LINE, Part, Program, kept
from producer.local_system.restarts import Restarts
from tests.support.waiting import becomes


class Shell(Part):
    """A part that runs a script of the shell; ``lines`` is what it said."""

    def __init__(self, script: str, *, restarts: Restarts, **options: Any) -> None:
        self.lines: list[str] = []
        argv = ("sh", "-c", script)
        super().__init__(Program("shell", argv, **options), self.lines.append, restarts)

    async def says(self, line: str) -> None:
        async def said() -> bool:
            return line in self.lines

        await becomes(said)


def shell(script: str, *, most: int = 2, **options: Any) -> Shell:
    restarts = Restarts(first_seconds=0.01, most=most)
    return Shell(script, restarts=restarts, **options)


def status_of(part: Part) -> str:
    """As in proc_pid_status(5)."""
    return Path(f"/proc/{part.pid}/status").read_text()


@asynccontextmanager
async def running(part: Shell) -> AsyncIterator[asyncio.Task[None]]:
    """Kept by a task of its own, which may be cancelled, and that says when the part is up."""

    async def keep() -> None:
        async with kept([part], lambda error: pytest.fail(str(error))):
            await asyncio.Event().wait()

    task = asyncio.create_task(keep())
    await part.says("up")
    yield task
    task.cancel()
    await asyncio.wait({task})


async def test_one_that_ends_again_and_again_fails_with_its_last_words() -> None:
    part = shell("echo one; echo; echo two >&2; exit 7")
    with pytest.raises(PartFailedError, match=r"shell .*exit status 7.*said: one two$"):
        await part.keep()
    assert part.lines == ["one", "", "two"] * 2


async def test_one_that_could_not_run_is_started_once_it_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("producer.local_system.part._LOOK_SECONDS", 0)
    said: list[str | None] = ["the disk is full"] * 3 + [None]
    part = shell("echo up; exit 7", hindrance=lambda: said.pop(0))
    with pytest.raises(PartFailedError):
        await part.keep()
    assert part.lines == ["up"] * 2
    assert said == []
    assert caplog.text.count("shell is not started: the disk is full") == 1


async def test_bad_input_is_not_tried_again() -> None:
    part = shell("echo 'no such setting'; exit 2")
    with pytest.raises(PartFailedError, match="no such setting"):
        await part.keep()
    assert len(part.lines) == 1


async def test_a_program_that_is_not_there_is_named() -> None:
    part = Part(Program("gone", ("/nowhere/program",)), print)
    with pytest.raises(PartFailedError, match=r"gone cannot be started.*/nowhere/program"):
        await part.keep()


async def test_one_that_is_killed_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    part = shell("echo $$; echo up; exec sleep 60")
    with caplog.at_level(logging.WARNING):
        async with running(part):
            first = part.pid
            assert first
            os.kill(first, signal.SIGKILL)

            async def another() -> bool:
                return part.lines.count("up") == 2

            await becomes(another)
            assert part.pid != first
    assert "shell ended (SIGKILL); starting it again in 0.01 s" in caplog.text


async def test_the_block_ends_once_the_program_has() -> None:
    part = shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    async with running(part) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert part.lines == ["up", "bye"]


TOLD_TWICE = """
import signal, sys, time
told = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: told.append(None))
print("up", flush=True)
while len(told) < 2:
    time.sleep(0.01)
print("told twice")
"""


async def test_cancelled_again_it_tells_the_program_again() -> None:
    """Even one that was too busy to see the first signal: the same signal would count once."""
    part = shell(f"exec {quote(sys.executable)} -c {quote(TOLD_TWICE)}")

    async def stopped() -> bool:
        return "State:\tT" in status_of(part)

    async def pending(number: int) -> bool:
        mask = status_of(part).split("ShdPnd:")[1].split()[0]
        return bool(int(mask, 16) & 1 << (number - 1))

    async with running(part) as task:
        assert part.pid
        os.kill(part.pid, signal.SIGSTOP)
        await becomes(stopped)
        task.cancel()
        await becomes(partial(pending, signal.SIGTERM))
        task.cancel()
        await becomes(partial(pending, signal.SIGINT))
        os.kill(part.pid, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert part.lines == ["up", "told twice"]


async def test_a_program_that_does_not_stop_is_killed() -> None:
    part = shell("trap '' TERM; echo up; while :; do sleep 0.01; done", stop_seconds=0.1)
    async with running(part) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert part.pid
        with pytest.raises(ProcessLookupError):
            os.kill(part.pid, 0)


async def test_noise_is_not_shown() -> None:
    part = shell("echo WARNING; echo up; exec sleep 60", noise=("WARNING",))
    async with running(part):
        assert part.lines == ["up"]


async def test_a_line_without_end_stops_nothing() -> None:
    part = shell(f"head -c {3 * LONGEST_LINE} /dev/zero; echo; echo up; exec sleep 60")
    async with running(part):
        pass


async def test_a_program_has_a_session_of_its_own() -> None:
    """So that Ctrl-C does not reach it."""
    async with running(part := shell("echo up; exec sleep 60")):
        assert part.pid
        assert os.getsid(part.pid) == part.pid


async def test_the_failure_of_one_is_told() -> None:
    failures: list[BaseException] = []
    part = shell("exit 2")
    async with kept([part], failures.append):

        async def failed() -> bool:
            return bool(failures)

        await becomes(failed)
    assert isinstance(failures[0], PartFailedError)
