"""``push-queue serve``, before it serves."""

import json
import socket
from typing import Any

import pytest

from producer.cli import app
from producer.cli.exit_code import ExitCode
from push_queue.settings.api_tokens import hash_of


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "reg.example.com", ""])
def test_another_host_than_the_loopback_is_refused(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["serve", "--host", host]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"cannot serve at {host}:" in error
    assert "127.0.0.1" in error


def test_the_setting_is_no_way_around_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_API_HOST", "0.0.0.0")
    assert app.run(["serve"]) == ExitCode.BAD_INPUT
    assert "0.0.0.0" in capsys.readouterr().err


CI = {
    "issuer": "https://ci.example.com",
    "audience": "https://push.example.com",
    "rules": [{"claims": {"repository": "acme/app"}, "role": "admin"}],
}


@pytest.mark.parametrize(
    ("variable", "callers"),
    [
        ("PUSH_QUEUE_API_TOKENS", {"ci": {"role": "admin", "sha256": hash_of("token")}}),
        ("PUSH_QUEUE_API_OIDC", {"ci": CI}),
    ],
)
def test_where_callers_need_tokens_it_may_be_any_host(
    variable: str,
    callers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, json.dumps(callers))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PUSH_QUEUE_REDIS_URL", f"redis://127.0.0.1:{closed.getsockname()[1]}")
        assert app.run(["serve", "--host", "192.0.2.1"]) == ExitCode.NO_REDIS
    assert "cannot serve" not in capsys.readouterr().err


def test_without_redis_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PUSH_QUEUE_REDIS_URL", f"redis://127.0.0.1:{closed.getsockname()[1]}")
        assert app.run(["serve", "--port", "0"]) == ExitCode.NO_REDIS
    assert "cannot reach Redis" in capsys.readouterr().err


def test_a_server_that_heeds_no_routes_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_REDIS_URL", "unix:///none")
    monkeypatch.setenv("PUSH_QUEUE_REDIS_ROUTES", '{"reg.example.com/*": "redis://other"}')
    assert app.run(["serve", "--port", "0"]) == ExitCode.NO_REDIS
    warning, _ = capsys.readouterr().err.splitlines()
    assert warning.endswith("all jobs of this server are with Redis at /none")
