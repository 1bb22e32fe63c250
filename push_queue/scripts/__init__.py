"""The Lua scripts: every change of a job's state is one of them, hence atomic.

Each file documents its arguments and result. ``prelude.lua`` is put before the others; it names
the arguments that all of them take and holds what they share.
"""

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """The text of ``<name>.lua`` with the prelude before it."""
    folder = files(__name__)
    return (folder / "prelude.lua").read_text() + (folder / f"{name}.lua").read_text()
