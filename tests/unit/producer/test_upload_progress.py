"""How far an upload is, as a terminal shows it."""

import sys

import pytest

from producer.cli import enqueue_remotely
from producer.cli.enqueue_remotely import _ProgressLine


def pretend_terminal(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(enqueue_remotely, "REDRAW_SECONDS", 0)


def test_a_line_is_drawn_again_and_cleared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch, "xterm")
    line = _ProgressLine("app\x1b.tar")
    line.show(500_000, 2_000_000)
    line.show(1_000_000, None)
    line.clear()
    assert capsys.readouterr().err == (
        "\ruploading app\\x1b.tar: 500.0 kB of 2.0 MB, 25 %\x1b[K"
        "\ruploading app\\x1b.tar: 1.0 MB\x1b[K"
        "\r\x1b[K"
    )


def test_a_terminal_that_draws_nothing_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch, "dumb")
    line = _ProgressLine("app.tar")
    line.show(1, 2)
    line.clear()
    assert capsys.readouterr().err == ""


def test_who_has_closed_standard_error_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    line = _ProgressLine("app.tar")
    line.show(1, 2)
    line.clear()
