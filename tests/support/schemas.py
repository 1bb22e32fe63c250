"""Checks of files by the published schemas of the tools that read them."""

import subprocess
import sys
from pathlib import Path


def check_by_schema(schema: str, *paths: Path) -> None:
    """Check files by one of check-jsonschema's own schemas, as ``vendor.compose-spec``."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
