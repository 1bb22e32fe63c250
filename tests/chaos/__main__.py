"""``python -m tests.chaos``: a chaos run by JOBS and SEED; exit status 1 if anything went wrong."""

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.chaos.invariants import violations
from tests.chaos.plan import Plan
from tests.chaos.report import print_report
from tests.chaos.run import run_chaos

JOBS = 300


def main() -> int:
    # Ends like Ctrl-C: servers and workers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    plan = Plan(seed, int(os.environ.get("JOBS") or JOBS))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"{plan.count} jobs, seed {plan.seed}")
    with TemporaryDirectory(prefix="chaos-") as directory:
        evidence = asyncio.run(run_chaos(plan, Path(directory)))
        found = violations(evidence)
        print_report(console, evidence, found)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
