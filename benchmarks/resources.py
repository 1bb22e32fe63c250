"""Processors and memory: what this machine has, and what a process took at its peak."""

import os
from pathlib import Path


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


class Processors:
    """How busy the machine's processors are from now on, with all its processes."""

    def __init__(self) -> None:
        self._busy, self._all = _processor_times()

    def busy_percent(self) -> float:
        """The load so far, in percent of all processors."""
        busy, all_ = _processor_times()
        return 100 * (busy - self._busy) / max(1, all_ - self._all)


def peak_memory(pid: int) -> int:
    """Bytes of the largest resident set of a process and its living children, 0 when it is gone.

    Source: VmHWM in https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    """
    process = Path("/proc") / str(pid)
    try:
        status = (process / "status").read_text()
        children = (process / "task" / str(pid) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = _kibibytes(status).get("VmHWM", 0) * 1024
    return own + sum(peak_memory(int(child)) for child in children)


def resident_memory(pid: int) -> int:
    """Bytes of the resident set of a process."""
    return _kibibytes((Path("/proc") / str(pid) / "status").read_text())["VmRSS"] * 1024


def total_memory() -> int:
    """Bytes of memory in this machine."""
    return _memory_info()["MemTotal"] * 1024


def available_memory() -> int:
    """Bytes that can be taken without swapping."""
    return _memory_info()["MemAvailable"] * 1024


def _processor_times() -> tuple[int, int]:
    """Ticks of all processors together since the machine started: busy, and in all.

    Source: https://man7.org/linux/man-pages/man5/proc_stat.5.html
    """
    first, _, _ = Path("/proc/stat").read_text().partition("\n")
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    times = [int(ticks) for ticks in first.split()[1:9]]
    return sum(times) - sum(times[3:5]), sum(times)


def _memory_info() -> dict[str, int]:
    return _kibibytes(Path("/proc/meminfo").read_text())


def _kibibytes(table: str) -> dict[str, int]:
    """The lines ``Name: 123 kB`` of a file in /proc."""
    lines = (line.split() for line in table.splitlines() if line.endswith(" kB"))
    return {name.rstrip(":"): int(value) for name, value, _ in lines}
