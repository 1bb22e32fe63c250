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
    return "".join((files(__name__) / f"{part}.lua").read_text(encoding="utf-8") for part in parts)
