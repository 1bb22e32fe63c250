"""Runs a benchmark: contenders alternate, and each run is cold."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from .errors import ContenderError
from .model import Benchmark, Contender, Result
from .resources import available_memory
from .servers.registry import fresh_registry
from .units import size_name

MEMORY_FOLDER = Path("/dev/shm")

Say = Callable[[str], None]
"""Told which step begins."""


def run_benchmark(benchmark: Benchmark, runs: int, say: Say) -> Result:
    """Run the contenders by turns, A B A B …, so that a busy moment of the machine hits all.

    A contender that fails is left out from then on.
    """
    result = Result(benchmark)
    result.skipped = _lack_of_room(benchmark)
    if result.skipped:
        return result
    images = gettempdir() if benchmark.disk else MEMORY_FOLDER
    with TemporaryDirectory(prefix="benchmark-", dir=images) as folder:
        contenders = dict(benchmark.prepare(Path(folder)))
        for number in range(min(runs, benchmark.most_runs or runs)):
            for name, contender in contenders.items():
                if name not in result.failures:
                    say(f"run {number + 1}: {name}")
                    _run(result, name, contender)
    return result


def _run(result: Result, name: str, contender: Contender) -> None:
    try:
        with fresh_registry(MEMORY_FOLDER) as registry:
            values = contender(registry)
    except ContenderError as error:
        result.failures[name] = str(error)
    else:
        result.samples.setdefault(name, []).append(values)


def _lack_of_room(benchmark: Benchmark) -> str | None:
    if not MEMORY_FOLDER.is_dir():
        return f"there is no {MEMORY_FOLDER} to keep images and registry in"
    room = min(available_memory(), shutil.disk_usage(MEMORY_FOLDER).free)
    if room < benchmark.room:
        return f"needs {size_name(benchmark.room)} of free memory, {size_name(room)} are left"
    disk = shutil.disk_usage(gettempdir()).free
    if disk < benchmark.disk:
        return f"needs {size_name(benchmark.disk)} of free disk, {size_name(disk)} are left"
    return None
