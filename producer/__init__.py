"""Enqueue image pushes and follow them: :class:`PushQueue` and the ``push-queue`` command."""

from registry_api_v2_client.lazy_exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__, __file__)
