"""How signals end our programs while no event loop takes care of them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer import Exit

from producer.cli.signals import run
from push_queue.ending_signals import ENDING_SIGNALS
from tests.support.servers import clean_environment

LOADING = """
import sys
from {package}.cli import main

class Halt:
    def find_spec(name, *_):
        if name == "{package}.cli.app":
            print("loading", flush=True)
            try:
                sys.stdin.read()
            except BaseException as error:
                # As Python 3.11 does while it makes a class.
                raise RuntimeError("cannot be loaded") from error

sys.meta_path.insert(0, Halt)
sys.argv[1:] = ["--version"]
main()
"""
IGNORING = 'trap "" HUP INT TERM; exec "$@"'


LOOKING_UP = """
import socket, sys
from producer.cli import main

def look_up(*_, **__):
    print("looking", flush=True)
    sys.stdin.read()

socket.getaddrinfo = look_up
sys.argv[1:] = ["list"]
main()
"""
CLOSING = """
import asyncio, sys
from producer.cli.signals import run
from push_queue.ending_signals import end_at_once_by_signals

close = asyncio.Runner.close

def tell_and_close(runner):
    print("closing", flush=True)
    close(runner)

async def work():
    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.Runner.close = tell_and_close
end_at_once_by_signals()
run(work())
"""


@contextmanager
def program(code: str, *before: str) -> Iterator[subprocess.Popen[str]]:
    """The program once it has said where it is; it goes on when its standard input is closed."""
    with subprocess.Popen(
        [*before, sys.executable, "-c", code],
        env=clean_environment(PUSH_QUEUE_REDIS_URL="redis://redis.invalid"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() in ("loading\n", "looking\n", "closing\n")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("package", ["producer", "worker"])
@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_it_ends_without_a_word_while_it_loads(package: str, number: signal.Signals) -> None:
    with program(LOADING.format(package=package)) as process:
        process.send_signal(number)
        assert process.wait(60) == -number
        assert process.communicate() == ("", "")


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_what_the_caller_has_ignored_stays_so(number: signal.Signals) -> None:
    with program(LOADING.format(package="producer"), "sh", "-c", IGNORING, "sh") as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        assert output


def test_the_first_process_of_a_container_ends_too() -> None:
    """The kernel keeps from it what it does not handle; here a mask does."""
    code = """
import signal
from push_queue.ending_signals import end_by
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
end_by(signal.SIGTERM)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 143


@pytest.mark.parametrize("number", ENDING_SIGNALS)
@pytest.mark.parametrize("code", [LOOKING_UP, CLOSING], ids=["at work", "at the end"])
def test_it_ends_while_a_name_is_looked_up(code: str, number: signal.Signals) -> None:
    with program(code) as process:
        process.send_signal(number)
        assert process.wait(60) == -number
        assert process.communicate() == ("", "")


@pytest.fixture
def handlers() -> Iterator[None]:
    """Leaves the handlers of this process as they were."""
    known = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_coroutine_is_not_cancelled_by_what_the_caller_has_ignored(
    number: signal.Signals,
) -> None:
    signal.signal(number, signal.SIG_IGN)

    async def work() -> str:
        os.kill(os.getpid(), number)
        return "done"

    assert run(work()) == "done"
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.usefixtures("handlers")
def test_after_a_coroutine_signals_are_handled_as_before() -> None:
    def own(*_: object) -> None:
        pass

    signal.signal(signal.SIGINT, own)

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    with pytest.raises(Exit) as ended:
        run(work())
    assert ended.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is own
