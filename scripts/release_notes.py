#!/usr/bin/env python3
"""Print what CHANGELOG.md says about the release of a tag: `release_notes.py v1.2.0`.

Ends with 1 and one line if the tag is not that of the version in pyproject.toml, or if the
changelog has no section for it. Needs the standard library alone.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def release_notes(tag: str, version: str, changelog: str) -> str:
    """The section of a version: `## [1.2.0] - 2026-12-24` and what follows until the next one.

    Raises:
        ValueError: the tag is not `v` and the version, or there is no such section with a date.
    """
    if tag != f"v{version}":
        raise ValueError(f"the tag {tag} is not v{version}, the version in pyproject.toml")
    heading = rf"## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n"
    found = re.search(rf"^{heading}(.*?)(?=^## \[|^\[[^\]]+\]: |\Z)", changelog, re.M | re.S)
    if not found or not found[1].strip():
        raise ValueError(f"CHANGELOG.md says nothing under `## [{version}] - <date>`")
    return found[1].strip()


def main(tag: str) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(release_notes(tag, project["version"], changelog))
    except ValueError as error:
        print(f"Not ready for release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: release_notes.py TAG")
    sys.exit(main(sys.argv[1]))
