"""Package roots that load what they offer once it is asked for.

Who imports one module of such a package does not wait for all of it.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package that offers what its module ``exports`` does.

    Source: https://peps.python.org/pep-0562/
    """

    def get(name: str) -> Any:
        exports = import_module(f"{package}.exports")
        if name == "__all__" or name in exports.__all__:
            return getattr(exports, name)
        loaded = vars(sys.modules[package])
        if name in loaded:  # a module of the package, which is loaded by now
            return loaded[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted([*vars(sys.modules[package]), *get("__all__")])

    return get, names
