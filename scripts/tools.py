#!/usr/bin/env python3
"""Install what the tests run beside our own programs, by apt, as far as it is missing.

Needs the standard library alone, so that it works before anything is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

PROGRAMS = {
    "docker-registry": ("docker-registry",),
    "skopeo": ("skopeo",),
    "faketime": ("faketime",),
    "curl": ("curl",),
    "jq": ("jq",),
    "zsh": ("zsh",),
    "nodejs": ("node",),
    "prometheus": ("promtool",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
}
"""The Debian packages, and programs of which each brings one; any of them will do."""


class UnavailableError(Exception):
    """What this machine lacks; says what to do."""


def missing(packages: Iterable[str]) -> list[str]:
    """Those of the packages of which no program is there."""
    return [package for package in packages if not any(map(shutil.which, PROGRAMS[package]))]


def ensure(packages: Iterable[str]) -> None:
    """Install what is missing; UnavailableError where that cannot be."""
    lacking = missing(packages)
    if not lacking:
        return
    names = " ".join(lacking)
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise UnavailableError(
            f"not installed: {names}\n  Debian, Ubuntu: sudo apt-get install {names}"
        )
    print(f"Installing {names}", flush=True)
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *lacking]):
        subprocess.run(
            ["apt-get", "--quiet", "--quiet", *arguments],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
            check=False,
        )
    if still := missing(lacking):
        raise UnavailableError(f"apt-get could not install {' '.join(still)}")


def main() -> int:
    try:
        ensure(PROGRAMS)
    except UnavailableError as reason:
        print(f"tools: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
