"""Runs the fuzz targets: ``python -m tests.fuzz [NAME…]``, each for FUZZ_SECONDS."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.fuzz.run import targets

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
GRACE_SECONDS = 60
ROW = "{:<18}{:>10}{:>10}{:>16}"


def main() -> int:
    """One process a target, so that memory is its own and a crash ends no other."""
    chosen = sys.argv[1:] or list(targets())
    failed = False
    print(ROW.format("target", "examples", "findings", "memory growth"))
    for name in chosen:
        found = run(name)
        failed |= found["findings"] > 0
        growth = f"{found['growth'] / 1e6:.1f} MB"
        print(ROW.format(name, found["examples"], found["findings"], growth), flush=True)
        if found["report"]:
            print(found["report"], file=sys.stderr)
    return int(failed)


def run(name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(SECONDS)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS * 2 + GRACE_SECONDS, check=False
    )
    if done.returncode:
        # Crashed, or hanging and ended by its watchdog, whose traceback is in the report.
        return {"examples": 0, "findings": 1, "growth": 0, "report": done.stderr + done.stdout}
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
