"""Where this user's files belong."""

import os
from pathlib import Path


def user_folder(variable: str, default: str) -> Path | None:
    """Our folder below the one that the variable names, or below the default in the user's home.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    named = os.environ.get(variable, "")
    try:
        # The specification says to ignore a path that is not absolute.
        folder = Path(named) if Path(named).is_absolute() else Path.home() / default
    except RuntimeError:
        return None
    return folder / "push-queue"
