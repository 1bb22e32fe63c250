"""Async client for container registries (Registry HTTP API v2, OCI distribution).

Reads image tars as ``docker save`` and OCI tools write them, and pushes them; lists, describes and
deletes what a registry holds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import exceptions, exports
    from .exceptions import *  # noqa: F403
    from .exports import *  # noqa: F403

    __all__ = []
    __all__ += exceptions.__all__
    __all__ += exports.__all__
else:

    def __getattr__(name: str) -> Any:
        # Loaded once anything is asked for: who imports a part alone does not wait for all of it.
        exports = import_module(f"{__name__}.exports")
        if name == "__all__" or name in exports.__all__:
            return getattr(exports, name)
        if name in globals():  # a module of the package, which is loaded by now
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted([*globals(), *__getattr__("__all__")])
