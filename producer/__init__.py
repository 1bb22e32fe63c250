"""Enqueue image pushes and follow them: :class:`PushQueue` and the ``push-queue`` command."""

from typing import TYPE_CHECKING

from registry_api_v2_client.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from . import exports
    from .exports import *  # noqa: F403

    __all__ = []
    __all__ += exports.__all__
else:
    __getattr__, __dir__ = lazy_exports(__name__)
