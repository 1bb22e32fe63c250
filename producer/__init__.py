"""Enqueue image pushes and follow them: :class:`PushQueue` and the ``push-queue`` command."""

from producer.queue import PushQueue
from push_queue import (
    Attempt,
    BlobStatus,
    Compression,
    InvalidJobError,
    InvalidSettingsError,
    JobState,
    JobStatus,
    PushJob,
    QueueError,
    RedisRefusedError,
    RedisUnavailableError,
    Settings,
    TargetResult,
    UnknownJobError,
    WaitTimeoutError,
    WorkerInfo,
    load_settings,
)

__all__ = [
    "Attempt",
    "BlobStatus",
    "Compression",
    "InvalidJobError",
    "InvalidSettingsError",
    "JobState",
    "JobStatus",
    "PushJob",
    "PushQueue",
    "QueueError",
    "RedisRefusedError",
    "RedisUnavailableError",
    "Settings",
    "TargetResult",
    "UnknownJobError",
    "WaitTimeoutError",
    "WorkerInfo",
    "load_settings",
]
