"""Package roots that load their exports on first use.

Importing one name of such a package does not load the rest of it. What is imported here is loaded
before anything else, so it is as little as possible.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # typing's takes some milliseconds to load
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def lazy_exports(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package that exports what the stub of its root imports.

    ``file`` is the root's, with the stub beside it: type checkers and this read the same list.
    Source: https://peps.python.org/pep-0562/, https://scientific-python.org/specs/spec-0001/
    """
    known: dict[str, str] = {}

    def modules() -> dict[str, str]:
        if not known:
            known.update(_modules(file.removesuffix(".py") + ".pyi"))
        return known

    def get(name: str) -> Any:
        if name == "__all__":
            return sorted(modules())
        if name not in modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules()[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules()})

    return get, names


def _modules(stub: str) -> dict[str, str]:
    """The module of each name that a stub imports."""
    import ast  # only loaded on demand
    from pathlib import Path

    return {
        alias.name: f"{'.' * statement.level}{statement.module}"
        for statement in ast.parse(Path(stub).read_text(encoding="utf-8")).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
