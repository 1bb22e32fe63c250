"""Settings of a chaos run's workers: what takes minutes elsewhere takes seconds."""

NAMESPACE = "chaos"
LEASE_SECONDS = 2

WORKER_ENV = {
    "PUSH_QUEUE_NAMESPACE": NAMESPACE,
    "PUSH_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS),
    "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
    "PUSH_QUEUE_MAX_JOBS": "4",
    "PUSH_QUEUE_RETRY_BASE_SECONDS": "0.1",
    "PUSH_QUEUE_RETRY_MAX_SECONDS": "1",
    "PUSH_QUEUE_LOG_FORMAT": "text",
}
