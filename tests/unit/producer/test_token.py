"""``push-queue token``."""

import json

import pytest

from producer.cli import app
from producer.cli.exit_code import ExitCode
from push_queue.settings import load_settings
from push_queue.settings.api_tokens import hash_of

VARIABLE = "PUSH_QUEUE_API_TOKENS"
TEAM = ["--role", "enqueue", "--target", "reg.example.com/team/*"]


@pytest.fixture(autouse=True)
def no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def make(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The token, and the value for the settings."""
    assert app.run(["token", *arguments]) == ExitCode.SUCCESS
    output = capsys.readouterr()
    (token,) = output.out.splitlines()
    assert token not in output.err
    return token, output.err.splitlines()[-1]


def test_what_it_prints_are_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token, value = make(capsys, "ci", *TEAM)
    monkeypatch.setenv(VARIABLE, value)
    known = load_settings().api_tokens["ci"]
    assert (known.role, known.targets) == ("enqueue", ("reg.example.com/team/*",))
    assert known.sha256 == hash_of(token)
    assert len(token) >= 43


def test_it_keeps_the_others_and_replaces_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, value = make(capsys, "ci", *TEAM)
    monkeypatch.setenv(VARIABLE, value)
    _, value = make(capsys, "ops", "--role", "admin")
    monkeypatch.setenv(VARIABLE, value)
    second, value = make(capsys, "ci", *TEAM)
    assert first != second
    assert json.loads(value).keys() == {"ci", "ops"}
    assert json.loads(value)["ci"]["sha256"] == hash_of(second)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ci", "--role", "enqueue"], "needs targets"),
        (["ci", "--role", "admin", "--target", "*/*"], "an admin has all"),
        (["ci", "--role", "read", "--target", "team"], "is not a pattern"),
        (["c i", *TEAM], "c i"),
        (["ci", "--role", "root"], "root"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert app.run(["token", *arguments]) == ExitCode.BAD_INPUT
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert said in line
