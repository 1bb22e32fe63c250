"""What the package offers at its root, which ``lazy_exports`` reads, too."""

from producer.errors import NotAllEnqueuedError as NotAllEnqueuedError
from producer.queue import PushQueue as PushQueue
from producer.routed_queue import RoutedQueue as RoutedQueue
from push_queue.errors import InvalidJobError as InvalidJobError
from push_queue.errors import InvalidSettingsError as InvalidSettingsError
from push_queue.errors import JobConflictError as JobConflictError
from push_queue.errors import QueueError as QueueError
from push_queue.errors import RedisDeniedError as RedisDeniedError
from push_queue.errors import RedisRefusedError as RedisRefusedError
from push_queue.errors import RedisUnavailableError as RedisUnavailableError
from push_queue.errors import UnknownJobError as UnknownJobError
from push_queue.errors import WaitTimeoutError as WaitTimeoutError
from push_queue.models.fleet import WorkerInfo as WorkerInfo
from push_queue.models.job import Compression as Compression
from push_queue.models.job import PushJob as PushJob
from push_queue.models.job_status import Attempt as Attempt
from push_queue.models.job_status import BlobStatus as BlobStatus
from push_queue.models.job_status import JobState as JobState
from push_queue.models.job_status import JobStatus as JobStatus
from push_queue.models.job_status import TargetResult as TargetResult
from push_queue.settings import Settings as Settings
from push_queue.settings import load_settings as load_settings

__all__: list[str]
