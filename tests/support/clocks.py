"""Processes whose clock is off, by libfaketime."""

from pathlib import Path

from tests.support.processes import unavailable

LIBRARY = "libfaketime.so.1"
PREFIXES = (Path("/usr"), Path("/usr/local"))
PATTERNS = (f"lib/faketime/{LIBRARY}", f"lib/*/faketime/{LIBRARY}", f"lib64/faketime/{LIBRARY}")


def clock_off_by(seconds: float) -> dict[str, str]:
    """Environment of a process whose clock is ahead by these seconds, or behind if negative.

    Monotonic clocks and file times stay right.
    """
    return {
        "LD_PRELOAD": faketime_library(),
        "FAKETIME": f"{seconds:+g}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def faketime_library() -> str:
    """Where the Debian package `faketime` has it, or an own build."""
    found = [path for prefix in PREFIXES for pattern in PATTERNS for path in prefix.glob(pattern)]
    return str(found[0]) if found else unavailable("faketime is not installed")
