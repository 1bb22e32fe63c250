"""The metrics of a worker: name, meaning and labels of each.

Names and units follow https://prometheus.io/docs/practices/naming/. Every label has few values:
registries beyond the first ``MOST_REGISTRIES`` are ``other``.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

MOST_REGISTRIES = 20
OTHER = "other"

_PREFIX = "push_queue_worker_"
_ATTEMPT_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric."""

    short_name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        return _PREFIX + self.short_name

    def counter(self, registry: CollectorRegistry) -> Counter:
        return Counter(self.name, self.help, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        return Gauge(self.name, self.help, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        return Histogram(self.name, self.help, self.labels, buckets=self.buckets, registry=registry)


ATTEMPTS = Spec(
    "attempts_total",
    "counter",
    "Attempts at jobs that ended, by the state that the job went to; `deferred`: put off, "
    "`released`: handed back, `lost`: the job runs elsewhere.",
    ("outcome", "error_kind"),
)
ATTEMPT_SECONDS = Spec(
    "attempt_duration_seconds",
    "histogram",
    "How long these attempts took.",
    ("outcome",),
    _ATTEMPT_BUCKETS,
)
LEASES_LOST = Spec(
    "leases_lost_total",
    "counter",
    "Jobs that this worker was still running after they had gone to another.",
)
RUNNING = Spec("running_jobs", "gauge", "Jobs that run now.")
MOST_RUNNING = Spec("max_jobs", "gauge", "Jobs that run at most at once.")
READ_BYTES = Spec(
    "read_bytes_total",
    "counter",
    "Bytes of layers that were read to be sent, by how they are encoded.",
    ("encoding",),
)
ENCODED_BYTES = Spec(
    "encoded_bytes_total",
    "counter",
    "Bytes that these became.",
    ("encoding",),
)
ENCODING_SECONDS = Spec(
    "encoding_seconds_total",
    "counter",
    "Seconds that this took, summed over all threads.",
    ("encoding",),
)
SENT_BYTES = Spec(
    "sent_bytes_total",
    "counter",
    "Bytes of blobs, compressed, that were sent to registries, in all tries.",
)
BLOBS = Spec(
    "blobs_total",
    "counter",
    "Blobs that registries have now: `uploaded`, `mounted` from another repository, `exists` "
    "already, or `waited` for another job that sent it.",
    ("how",),
)
BLOB_BYTES = Spec(
    "blob_bytes_total",
    "counter",
    "Bytes of these blobs in the archives. All but the uploaded ones were saved.",
    ("how",),
)
REQUESTS = Spec(
    "registry_requests_total",
    "counter",
    "HTTP requests for registries, by class of status, or `error` without an answer. The route "
    "`elsewhere` is a token server or a storage host.",
    ("registry", "method", "route", "status"),
)
REQUEST_SECONDS = Spec(
    "registry_request_duration_seconds",
    "histogram",
    "How long these requests took, including the time to send a body.",
    ("registry", "method", "route"),
    _REQUEST_BUCKETS,
)
RETRIES = Spec(
    "registry_retries_total",
    "counter",
    "Requests and blobs that were tried again within an attempt.",
    ("registry", "error_kind"),
)
BUILD = Spec("build_info", "gauge", "1; the labels say what runs.", ("version", "python"))

SPECS = (
    ATTEMPTS,
    ATTEMPT_SECONDS,
    LEASES_LOST,
    RUNNING,
    MOST_RUNNING,
    READ_BYTES,
    ENCODED_BYTES,
    ENCODING_SECONDS,
    SENT_BYTES,
    BLOBS,
    BLOB_BYTES,
    REQUESTS,
    REQUEST_SECONDS,
    RETRIES,
    BUILD,
)
