"""What a line of the log looks like, to people and to machines."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from push_queue.log_setup import set_up_logging
from push_queue.settings import Settings

logger = logging.getLogger("worker.attempt")


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """What is set up ends with the test."""
    root, arq = logging.getLogger(), logging.getLogger("arq")
    before = root.handlers[:], root.level, arq.level
    # pytest's handlers are not to be closed by the set-up.
    root.handlers.clear()
    yield
    root.handlers[:], root.level, arq.level = before


def set_up(**values: Any) -> None:
    set_up_logging(Settings(**values))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_people_read_time_level_and_message_and_then_the_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up()
    with bound_contextvars(job="build-4711", attempt=2, repository="team/app, team/web"):
        logger.warning("no answer from %s", "reg.example.com")
    date, time, rest = capsys.readouterr().err.split(" ", 2)
    assert (len(date), len(time)) == (10, 8)
    assert rest == (
        "[warning  ] no answer from reg.example.com "
        "job=build-4711 attempt=2 repository='team/app, team/web'\n"
    )


def test_machines_read_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(log_format="json")
    with bound_contextvars(job="build-4711", attempt=2):
        logger.warning("no answer from %s", "reg.example.com")
    entry = json.loads(capsys.readouterr().err)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "worker.attempt",
        "message": "no answer from reg.example.com",
        "job": "build-4711",
        "attempt": 2,
    }


def test_a_line_can_name_a_job_that_is_not_bound(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(log_format="json")
    logger.warning("lost", extra={"job": "a"})
    assert json.loads(capsys.readouterr().err)["job"] == "a"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_message_can_neither_fake_a_line_nor_drive_the_terminal(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    set_up(log_format=log_format)
    with bound_contextvars(repository="a\nb\x1b[2J"):
        logger.error("refused: %s", "no\n2026-11-28 all is well\x1b[2J\x9b2J")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert not set(written) & {"\x1b", "\x9b"}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_no_variables(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    set_up(log_format=log_format)
    password = "-".join(["correct", "horse"])
    try:
        raise ValueError(len(password))
    except ValueError:
        logger.exception("unexpected error")
    written = capsys.readouterr().err
    assert "ValueError: 13" in written
    assert "correct-horse" not in written


def test_there_are_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    set_up()
    logger.info("ready")
    assert "\x1b[" in terminal.getvalue()


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", terminal)
    set_up()
    logger.info("ready")
    assert "ready" in terminal.getvalue()
    assert "\x1b[" not in terminal.getvalue()
