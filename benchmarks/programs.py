"""Installed programs: find them, run them, time them."""

import compileall
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from .errors import ContenderError
from .resources import peak_memory

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("registry_api_v2_client", "push_queue", "producer", "worker", "benchmarks")

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Cost:
    """Wall time and CPU time, in seconds."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Command:
    """A command line, and what it changes in the environment.

    Running it raises ContenderError when it is not installed or fails.
    """

    argv: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> None:
        with self._running() as process:
            _check(process)

    def seconds(self) -> float:
        """Wall time of a run, start of the program included."""
        return self.cost().seconds

    def cost(self) -> "Cost":
        """What a run costs, start of the program included."""
        started, before = time.perf_counter(), _cpu_of_children()
        self.run()
        return Cost(time.perf_counter() - started, _cpu_of_children() - before)

    def peak_memory(self) -> int:
        """Largest resident set of a run, in bytes, looked at every ``POLL_SECONDS``."""
        peak = 0
        with self._running() as process:
            while process.poll() is None:
                peak = max(peak, peak_memory(process.pid))
                time.sleep(POLL_SECONDS)
            _check(process)
        return peak

    @contextmanager
    def _running(self) -> Iterator[subprocess.Popen[str]]:
        try:
            process = subprocess.Popen(
                self.argv,
                env=environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError:
            raise ContenderError(f"{self.argv[0]} is not installed") from None
        with process:
            try:
                yield process
            finally:
                process.kill()  # does nothing to one that has ended


def seconds_together(commands: Sequence[Command], at_once: int) -> float:
    """Wall time of all commands, ``at_once`` of them at the same time."""
    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        for running in [pool.submit(command.run) for command in commands]:
            running.result()
    return time.perf_counter() - started


def find_program(name: str) -> str:
    """The path of an installed program.

    Raises:
        ContenderError: there is none.
    """
    # Debian installs daemons in sbin, which a plain user's PATH may lack.
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    path = shutil.which(name, path=search)
    if path is None:
        raise ContenderError(f"{name} is not installed")
    return path


def compile_packages() -> None:
    """Compile our packages, as pip does those that it installs.

    Otherwise every start compiles them, where ``PYTHONDONTWRITEBYTECODE`` is set.
    """
    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=1)


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This environment without the user's settings of the queue, and with our modules found."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PUSH_QUEUE_") and name != "REDIS_URL"
    }
    return {**inherited, "PYTHONPATH": str(ROOT), **changes}


def _cpu_of_children() -> float:
    """Of those that have ended."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _check(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    if process.returncode != 0:
        raise ContenderError(last_line(errors) or f"exit status {process.returncode}")


def last_line(text: str) -> str:
    """The last line that is not blank: where programs say why they failed."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
