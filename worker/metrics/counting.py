"""Counts what a worker does."""

import platform
from collections.abc import Callable

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from yarl import URL

from push_queue.version import own_version
from registry_api_v2_client import EndedRequest, RegistryError

from ..observer import WorkerObserver
from . import specs
from .routes import route_of

LOST = "lost"


class CountingObserver(WorkerObserver):
    """The metrics of one worker, in a ``registry`` of their own."""

    def __init__(self) -> None:
        # One more series for each counter, which only says when it began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._known: set[str] = set()
        self._attempts = specs.ATTEMPTS.counter(registry)
        self._attempt_seconds = specs.ATTEMPT_SECONDS.histogram(registry)
        self._leases_lost = specs.LEASES_LOST.counter(registry)
        self._running = specs.RUNNING.gauge(registry)
        self._most_running = specs.MOST_RUNNING.gauge(registry)
        self._read_bytes = specs.READ_BYTES.counter(registry)
        self._encoded_bytes = specs.ENCODED_BYTES.counter(registry)
        self._encoding_seconds = specs.ENCODING_SECONDS.counter(registry)
        self._sent_bytes = specs.SENT_BYTES.counter(registry)
        self._blobs = specs.BLOBS.counter(registry)
        self._blob_bytes = specs.BLOB_BYTES.counter(registry)
        self._requests = specs.REQUESTS.counter(registry)
        self._request_seconds = specs.REQUEST_SECONDS.histogram(registry)
        self._retries = specs.RETRIES.counter(registry)
        specs.BUILD.gauge(registry).labels(own_version(), platform.python_version()).set(1)
        ProcessCollector(registry=registry)

    def attempt_ended(self, outcome: str, error_kind: str, seconds: float) -> None:
        self._attempts.labels(outcome, error_kind).inc()
        self._attempt_seconds.labels(outcome).observe(seconds)
        if outcome == LOST:
            self._leases_lost.inc()

    def bytes_sent(self, count: int) -> None:
        self._sent_bytes.inc(count)

    def blob_done(self, how: str, size: int) -> None:
        self._blobs.labels(how).inc()
        self._blob_bytes.labels(how).inc(size)

    def watch_jobs(self, running: Callable[[], int], most: int) -> None:
        self._running.set_function(running)
        self._most_running.set(most)

    def request_ended(self, request: EndedRequest) -> None:
        registry = self._registry_label(_host(request.registry))
        route = route_of(request.url, request.registry)
        status = f"{request.status // 100}xx" if request.status else "error"
        self._requests.labels(registry, request.method, route, status).inc()
        self._request_seconds.labels(registry, request.method, route).observe(request.seconds)

    def encoded(self, encoding: str, taken: int, given: int, seconds: float) -> None:
        self._read_bytes.labels(encoding).inc(taken)
        self._encoded_bytes.labels(encoding).inc(given)
        self._encoding_seconds.labels(encoding).inc(seconds)

    def tried_again(self, error: RegistryError) -> None:
        registry = self._registry_label(error.registry) if error.registry else specs.OTHER
        self._retries.labels(registry, error.kind).inc()

    def _registry_label(self, host: str) -> str:
        """The host, if it is one of the first; names of jobs must not make series without end."""
        if host in self._known:
            return host
        if len(self._known) >= specs.MOST_REGISTRIES:
            return specs.OTHER
        self._known.add(host)
        return host


def _host(registry: URL) -> str:
    return registry.host_port_subcomponent or ""
