"""What the package offers at its root."""

from producer.queue import PushQueue
from push_queue.errors import (
    InvalidJobError,
    InvalidSettingsError,
    JobConflictError,
    QueueError,
    RedisDeniedError,
    RedisRefusedError,
    RedisUnavailableError,
    UnknownJobError,
    WaitTimeoutError,
)
from push_queue.models import (
    Attempt,
    BlobStatus,
    Compression,
    JobState,
    JobStatus,
    PushJob,
    TargetResult,
    WorkerInfo,
)
from push_queue.settings import Settings, load_settings

__all__ = [
    "Attempt",
    "BlobStatus",
    "Compression",
    "InvalidJobError",
    "InvalidSettingsError",
    "JobConflictError",
    "JobState",
    "JobStatus",
    "PushJob",
    "PushQueue",
    "QueueError",
    "RedisDeniedError",
    "RedisRefusedError",
    "RedisUnavailableError",
    "Settings",
    "TargetResult",
    "UnknownJobError",
    "WaitTimeoutError",
    "WorkerInfo",
    "load_settings",
]
