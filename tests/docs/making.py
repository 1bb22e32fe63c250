"""Run make and pytest as somebody does who has chosen nothing yet."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT
from tests.support.processes import HANG_SECONDS, require_program

CHOSEN = ("MAKE", "REGISTRY_", "CI", "PYTEST_", "COV")
"""How variables begin that CI, make and these tests themselves have."""


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run(folder, [require_program("make"), "--no-print-directory", *arguments], environment)


def pytest_here(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return _run(ROOT, command, environment)


def _run(
    folder: Path, command: list[str], chosen: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CHOSEN)}
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | chosen,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * HANG_SECONDS,
    )
