"""Settings of a chaos run's workers: what takes minutes elsewhere takes seconds."""

from push_queue.settings import tag_watch_seconds

NAMESPACE = "chaos"
LEASE_SECONDS = 2
REGISTRY_TIMEOUT_SECONDS = 10
SETTLED_SECONDS = 60.0 + tag_watch_seconds(LEASE_SECONDS, REGISTRY_TIMEOUT_SECONDS)
"""Within which a tag is right and nothing is left over, when all jobs have ended.

A minute more than the guarantee: so long a registry that did not answer is left alone.
"""

WORKER_ENV = {
    "PUSH_QUEUE_NAMESPACE": NAMESPACE,
    "PUSH_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS),
    "PUSH_QUEUE_REGISTRY_TIMEOUT_SECONDS": str(REGISTRY_TIMEOUT_SECONDS),
    "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
    "PUSH_QUEUE_MAX_JOBS": "4",
    "PUSH_QUEUE_RETRY_BASE_SECONDS": "0.1",
    "PUSH_QUEUE_RETRY_MAX_SECONDS": "1",
    "PUSH_QUEUE_LOG_FORMAT": "text",
}
