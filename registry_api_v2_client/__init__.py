"""Async client for container registries (Registry HTTP API v2, OCI distribution).

Reads image tars as ``docker save`` and OCI tools write them, and pushes them; lists, describes and
deletes what a registry holds.
"""

from .lazy_exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__, __file__)
