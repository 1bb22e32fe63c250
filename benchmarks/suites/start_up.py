"""How long a command takes before it does anything."""

import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..programs import Command
from ..servers.registry import LocalRegistry
from ..servers.valkey import valkey

MS = 1000
STARTS = 9
PACKAGES = "its packages"
"""What the library cannot do without."""

HELP = Measure("help", "ms")
LIST = Measure("list of an empty queue", "ms")
PUSH = Measure("import of push_docker_tar", "ms")
LIBRARY = Measure("import of the whole library", "ms")


def start_up(_: Scale) -> Benchmark:
    return Benchmark(
        "start-up",
        f"Start of a command, median of {STARTS}",
        room=0,
        comparisons=(
            Comparison(HELP, None, Reach("at most", 100, of="value")),
            Comparison(LIST, None, Reach("at most", 250, of="value")),
            Comparison(PUSH, PACKAGES),
            Comparison(LIBRARY, PACKAGES),
        ),
        prepare=_contenders,
    )


def _contenders(folder: Path) -> Mapping[str, Contender]:
    def ours(_: LocalRegistry) -> Values:
        with valkey(folder) as url:
            return {
                HELP.name: _milliseconds(_push_queue("--help")),
                LIST.name: _milliseconds(_push_queue("list", PUSH_QUEUE_REDIS_URL=url)),
                PUSH.name: _imported("from registry_api_v2_client import push_docker_tar"),
                LIBRARY.name: _imported("from registry_api_v2_client import *"),
            }

    def packages(_: LocalRegistry) -> Values:
        milliseconds = _imported("import aiohttp, pydantic, isal, zstandard, uvloop")
        return {PUSH.name: milliseconds, LIBRARY.name: milliseconds}

    return {OURS: ours, PACKAGES: packages}


def _push_queue(command: str, **environment: str) -> Command:
    return Command([sys.executable, "-m", "producer", command], environment)


def _imported(code: str) -> float:
    return _milliseconds(Command([sys.executable, "-c", code]))


def _milliseconds(command: Command) -> float:
    return median(command.seconds() for _ in range(STARTS)) * MS
