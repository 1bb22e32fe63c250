"""Run README, tutorial and development guide as a newcomer would: in a fresh clone, a new HOME.

python -m tests.docs [PYTHON ...]

Each interpreter, this one unless others are named, gets a clone of what is committed.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.pages import DOCS, ROOT
from tests.docs.runner import Runner, run_document
from tests.docs.shell import Shell
from tests.docs.world import run_clone

NEWCOMER = (ROOT / "README.md", DOCS / "tutorial.md", DOCS / "development-guide.md")
BLOCK_SECONDS = 900
"""`make install` downloads everything, and `make test-unit` takes minutes."""


def try_with(python: Path) -> list[str]:
    """What is wrong in the documents for somebody with that interpreter."""
    problems = []
    with (
        TemporaryDirectory(prefix="docs-", ignore_cleanup_errors=True) as folder,
        run_clone(Path(folder), python) as world,
    ):
        for document in NEWCOMER:
            with Shell(world.folder, world.records, world.env, BLOCK_SECONDS) as shell:
                problems += run_document(document, Runner(world, shell, fresh_clone=True))
    return problems


def main() -> int:
    status = 0
    for python in sys.argv[1:] or [sys.executable]:
        problems = try_with(Path(python).absolute())
        print(f"{python}: {'; '.join(problems) or 'all blocks do what they say'}", flush=True)
        status = max(status, bool(problems))
    return status


if __name__ == "__main__":
    sys.exit(main())
