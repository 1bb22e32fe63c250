"""Looks for variables that are likely mistyped settings."""

import os
from collections.abc import Iterable
from difflib import get_close_matches

from dotenv import dotenv_values

from push_queue.settings.model import Settings
from push_queue.settings.sources import ENV_FILE, ENV_FILE_ENCODING, ENV_PREFIX


def doubts() -> list[str]:
    """Variables that are likely mistyped settings, one line each."""
    fields = [field.upper() for field in Settings.model_fields]
    given = sorted({*os.environ, *dotenv_values(ENV_FILE, encoding=ENV_FILE_ENCODING)})
    # Settings are read in any case.
    named = {
        name: name.upper().removeprefix(ENV_PREFIX)
        for name in given
        if name.upper().startswith(ENV_PREFIX)
    }
    return [
        f"{name} is not a setting{_meant(field, fields)}"
        for name, field in named.items()
        if field not in fields
    ]


def _meant(name: str, names: Iterable[str]) -> str:
    nearest = get_close_matches(name, names, n=1)
    return f"; did you mean {ENV_PREFIX}{nearest[0]}?" if nearest else ""
