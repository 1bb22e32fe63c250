"""Enqueue image pushes and follow them: :class:`PushQueue` and the ``push-queue`` command."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import exports
    from .exports import *  # noqa: F403

    __all__ = []
    __all__ += exports.__all__
else:

    def __getattr__(name: str) -> Any:
        # Loaded once anything is asked for: the command line, which is in here, starts at once.
        exports = import_module(f"{__name__}.exports")
        if name == "__all__" or name in exports.__all__:
            return getattr(exports, name)
        if name in globals():  # a module of the package, which is loaded by now
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted([*globals(), *__getattr__("__all__")])
