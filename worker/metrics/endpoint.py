"""Where Prometheus finds the figures of this worker: ``GET /metrics``, on a thread of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from push_queue.errors import InvalidSettingsError
from push_queue.settings import Settings

from .counting import CountingObserver

logger = logging.getLogger(__name__)


@contextmanager
def served_metrics(settings: Settings) -> Iterator[CountingObserver]:
    """What counts the worker's work, and is served within the block.

    Raises:
        InvalidSettingsError: it cannot listen there.
    """
    observer = CountingObserver()
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, observer.registry)
    except OSError as error:
        raise InvalidSettingsError(
            f"cannot serve metrics at {host}:{port} ({error.strerror}); "
            "each worker of a host needs a PUSH_QUEUE_METRICS_PORT of its own"
        ) from None
    logger.info("metrics are at http://%s:%d/metrics", host, server.server_port)
    try:
        yield observer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
