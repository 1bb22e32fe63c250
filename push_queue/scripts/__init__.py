"""The Lua scripts: every change of a job's state is one of them, hence atomic.

Each file documents its arguments and result. Those of one folder begin with the same files of
``shared/``:

============= =====================================================================================
``job/``      about one job: ``shared/job.lua`` names the arguments that all of them take
``registry/`` about the pauses and the uploads of registries
``plain/``    all others
============= =====================================================================================
"""

from functools import cache
from importlib.resources import files

_SHARED = {
    "job": (
        *("common", "teams", "registries", "webhooks"),
        *("times", "job", "arq", "waiting", "states"),
    ),
    "registry": ("common", "teams", "registries"),
    "plain": ("common", "teams"),
}
_MORE = {"job/start": ("targets",)}
"""What one script alone begins with, besides."""


@cache
def load(name: str) -> str:
    """The text of a script, named with its folder, after the shared files that it begins with."""
    folder, _, _ = name.partition("/")
    shared = (*_SHARED[folder], *_MORE.get(name, ()))
    parts = [*(f"shared/{part}" for part in shared), name]
    return "".join(map(_read, parts))


def load_all() -> None:
    """Read all scripts now.

    A process that stays then does not meet those of a release that is installed in its place.
    """
    for folder in _SHARED:
        for script in (files(__name__) / folder).iterdir():
            load(f"{folder}/{script.name.removesuffix('.lua')}")


@cache
def _read(part: str) -> str:
    return (files(__name__) / f"{part}.lua").read_text(encoding="utf-8")
