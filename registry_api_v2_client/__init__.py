"""Async client for container registries (Registry HTTP API v2, OCI distribution).

Reads image tars as ``docker save`` and OCI tools write them, and pushes them; lists, describes and
deletes what a registry holds.
"""

from typing import TYPE_CHECKING

from .lazy_exports import lazy_exports

if TYPE_CHECKING:
    from . import exceptions, exports
    from .exceptions import *  # noqa: F403
    from .exports import *  # noqa: F403

    __all__ = []
    __all__ += exceptions.__all__
    __all__ += exports.__all__
else:
    __getattr__, __dir__ = lazy_exports(__name__)
