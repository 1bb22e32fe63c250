"""Where a worker runs that shares no folder with the others, and maybe not even their network."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.support.processes import HANG_SECONDS, ManagedProcess
from tests.support.servers import clean_environment

_BLOCKS = 2000
"""Of 512 bytes: the most that a program there can write to a file, its log included."""
_BENCHMARKING = int(IPv4Address("198.18.0.0"))
"""A network that nobody uses: https://www.rfc-editor.org/rfc/rfc2544"""


@dataclass(frozen=True)
class Place:
    """Where programs run: `command` runs one there, and finds this machine at `address`."""

    address: str
    command: Sequence[str] = ()

    def worker(self, folder: Path, **env: str) -> ManagedProcess:
        """A worker, not yet started, that finds nothing but empty folders.

        It cannot write a file of more than a megabyte anywhere, with a name or without.
        """
        home = folder / "home"
        home.mkdir(parents=True)
        limited = ("sh", "-c", f'ulimit -f {_BLOCKS} && exec "$@"', "sh")
        return ManagedProcess(
            [*self.command, *limited, sys.executable, "-m", "worker"],
            folder / "worker.log",
            clean_environment(
                HOME=str(home),
                TMPDIR=str(home),
                XDG_CACHE_HOME=str(home),
                PUSH_QUEUE_SOURCE_ROOTS=str(home),
                PYTHONDONTWRITEBYTECODE="1",
                **env,
            ),
        )


@contextmanager
def another_network() -> Iterator[Place]:
    """A network namespace from which this machine is reached at one address, and nothing else.

    Skips where that may not be made, as in most containers.
    """
    number = os.getpid()
    name, wire = f"push-queue-{number}", f"pq{number}"
    here = _BENCHMARKING + 4 * (number % (1 << 15)) + 1
    with ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        _ip("link", "add", wire, "type", "veth", "peer", "name", wire, "netns", name)
        # The namespace takes it along, but not at once.
        stack.callback(_ip, "link", "delete", wire)
        _ip("address", "add", f"{IPv4Address(here)}/30", "dev", wire)
        _ip("link", "set", wire, "up")
        _ip("-n", name, "address", "add", f"{IPv4Address(here + 1)}/30", "dev", wire)
        _ip("-n", name, "link", "set", wire, "up")
        place = Place(str(IPv4Address(here)), ("ip", "netns", "exec", name))
        _check_way(place)
        yield place


def _check_way(place: Place) -> None:
    """A firewall may be in the way."""
    with socket.create_server((place.address, 0)) as server:
        knock = f"import socket; socket.create_connection({server.getsockname()}, {HANG_SECONDS})"
        argv = [*place.command, sys.executable, "-c", knock]
        if subprocess.run(argv, check=False, capture_output=True).returncode:
            pytest.skip("the network namespace does not reach this machine")


def _ip(*arguments: str) -> None:
    if not shutil.which("ip"):
        pytest.skip("ip is not installed")
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespace can be made: {done.stderr.strip()}")
