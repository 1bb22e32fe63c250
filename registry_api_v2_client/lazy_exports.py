"""Package roots that load their exports on first use.

Importing one name of such a package does not load the rest of it.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_exports(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package that exports what the stub of its root imports.

    ``file`` is the root's, with the stub beside it: type checkers and this read the same list.
    Source: https://peps.python.org/pep-0562/, https://scientific-python.org/specs/spec-0001/
    """
    modules = cache(lambda: _modules(Path(file).with_suffix(".pyi")))

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


def _modules(stub: Path) -> Mapping[str, str]:
    """The module of each name that a stub imports."""
    import ast  # only loaded on demand

    return {
        alias.name: f"{'.' * statement.level}{statement.module}"
        for statement in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
