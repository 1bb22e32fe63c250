"""The queue of the `worker` fixture's processes, as the integration tests have it."""

from tests.integration.conftest import queue

__all__ = ["queue"]
