"""What producers and workers of the push queue share: jobs, their states in Redis, settings."""

import logging

from push_queue.arq_queue import TASK, ArqQueue
from push_queue.attempts import Attempts
from push_queue.connection import arq_options, connect, redis_settings
from push_queue.database import Database
from push_queue.errors import (
    InvalidJobError,
    InvalidSettingsError,
    JobConflictError,
    QueueError,
    RedisDeniedError,
    RedisRefusedError,
    RedisUnavailableError,
    UnknownJobError,
    UnreadableJobError,
    UnsuitableRedisError,
    WaitTimeoutError,
)
from push_queue.event_loop import new_event_loop
from push_queue.ids import new_job_id
from push_queue.job_filter import JobFilter
from push_queue.job_records import JobRecords
from push_queue.job_sources import JobSources
from push_queue.jobs import Jobs
from push_queue.keys import Keys
from push_queue.lease import Lease
from push_queue.models import (
    FINAL_STATES,
    Assignment,
    Attempt,
    BlobStatus,
    Compression,
    JobsPage,
    JobState,
    JobStatus,
    Outcome,
    Priority,
    PushJob,
    PushRequest,
    Signal,
    TargetResult,
    Turn,
    Wait,
    WorkerInfo,
    make_job,
)
from push_queue.patience import Patience
from push_queue.redis_errors import redis_errors
from push_queue.registry_limits import RegistryLimits
from push_queue.settings import RegistryCredentials, Settings, doubts, load_settings
from push_queue.suitability import check_redis
from push_queue.tag_turns import TagTurns
from push_queue.tag_writes import TagWrite, TagWrites, UnsettledTag
from push_queue.worker_roster import WorkerRoster

__all__ = [
    "FINAL_STATES",
    "TASK",
    "ArqQueue",
    "Assignment",
    "Attempt",
    "Attempts",
    "BlobStatus",
    "Compression",
    "Database",
    "InvalidJobError",
    "InvalidSettingsError",
    "JobConflictError",
    "JobFilter",
    "JobRecords",
    "JobSources",
    "JobState",
    "JobStatus",
    "Jobs",
    "JobsPage",
    "Keys",
    "Lease",
    "Outcome",
    "Patience",
    "Priority",
    "PushJob",
    "PushRequest",
    "QueueError",
    "RedisDeniedError",
    "RedisRefusedError",
    "RedisUnavailableError",
    "RegistryCredentials",
    "RegistryLimits",
    "Settings",
    "Signal",
    "TagTurns",
    "TagWrite",
    "TagWrites",
    "TargetResult",
    "Turn",
    "UnknownJobError",
    "UnreadableJobError",
    "UnsettledTag",
    "UnsuitableRedisError",
    "Wait",
    "WaitTimeoutError",
    "WorkerInfo",
    "WorkerRoster",
    "arq_options",
    "check_redis",
    "connect",
    "doubts",
    "load_settings",
    "make_job",
    "new_event_loop",
    "new_job_id",
    "redis_errors",
    "redis_settings",
]

# Who uses the library decides what is logged; a command line that does not, shows nothing.
logging.getLogger(__name__).addHandler(logging.NullHandler())
