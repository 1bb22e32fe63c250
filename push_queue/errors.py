"""What can go wrong between a caller and the queue.

::

    QueueError
    ├── InvalidSettingsError      a setting has an unusable value
    ├── InvalidJobError           the job asked for cannot exist
    │   └── JobConflictError      its id is another job's
    ├── InvalidFilterError        a filter does not say which jobs to change
    ├── SourceGoneError           what the job pushed is gone, so it cannot run again
    ├── UnreadableJobError        the job's record cannot be read
    ├── UnknownJobError           no job has this id
    ├── UnknownWorkerError        no worker that is alive has this id
    ├── UnknownWebhookError       no worker has this receiver of webhooks in its settings
    ├── WebhookInUseError         a worker has this receiver in its settings
    ├── OldWorkerError            the worker is too old for what is asked of it
    ├── DrainedError              this worker is to take no job any more
    ├── WaitTimeoutError          the job did not finish in the time given
    ├── UnsuitableRedisError      Redis is set up so that it loses jobs
    └── RedisUnavailableError     Redis cannot be reached
        └── RedisRefusedError     Redis was reached, but refuses what is asked
            └── RedisDeniedError  it refuses the login, database or command

Each message is one line that names the thing and says what to do. Redis addresses appear in them
without credentials.
"""

from collections.abc import Callable, Iterable

from pydantic import ValidationError

from push_queue.error_kinds import ErrorKind


class QueueError(Exception):
    """Root of everything raised by ``push_queue`` and ``producer``."""


class InvalidSettingsError(QueueError):
    """A setting has an unusable value; the message names its environment variable."""


class InvalidJobError(QueueError):
    """The job cannot exist, for instance because it has no target."""


class JobConflictError(InvalidJobError):
    """Another job has the id: one with another source, target or option, or of a newer release."""


class InvalidFilterError(QueueError):
    """It does not say which jobs to change, or asks for jobs that cannot be."""


class UnreadableJobError(QueueError):
    """A job's record cannot be read: it was damaged, or something else wrote it."""

    kind = ErrorKind.INVALID_JOB


class SourceGoneError(QueueError):
    """What the job pushed is deleted, so running it again would only make it fail."""


class UnknownJobError(QueueError):
    """No job has this id: it was never enqueued, or it finished and expired."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"no job {job_id!r}: check the id with `push-queue list` (finished jobs expire)"
        )
        self.job_id = job_id


class UnknownWorkerError(QueueError):
    """No worker that is alive has this id."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(f"no worker {worker_id!r} is alive: see `push-queue workers`")


class UnknownWebhookError(QueueError):
    """No worker has this receiver of webhooks in its settings."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"no webhook {name!r}; workers know {', '.join(known) or 'none'}, "
            "see PUSH_QUEUE_WEBHOOKS"
        )


class WebhookInUseError(QueueError):
    """A worker has this receiver of webhooks in its settings."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"a worker sends to webhook {name}; "
            "take it out of PUSH_QUEUE_WEBHOOKS of all workers first"
        )


class OldWorkerError(QueueError):
    """The worker is too old for what is asked of it."""


class DrainedError(QueueError):
    """This worker is to take no job any more."""


class WaitTimeoutError(QueueError):
    """The job did not finish in the given time. It goes on."""


class UnsuitableRedisError(QueueError):
    """Redis is set up so that it loses jobs. Workers refuse to start on it."""


class RedisUnavailableError(QueueError):
    """Redis cannot be reached."""


class RedisRefusedError(RedisUnavailableError):
    """Redis was reached, but refuses what is asked: it has no memory left, or is a replica."""


class RedisDeniedError(RedisRefusedError):
    """Redis does not accept the login or the database, or does not permit what is asked.

    Waiting does not help.
    """


_OBJECT = "must be an object of names and values"
_PLAINLY = {
    "bool_parsing": "must be true or false",
    "dict_type": _OBJECT,
    "extra_forbidden": "is unknown; leave it out",
    "float_parsing": "must be a number",
    "int_parsing": "must be a whole number",
    "missing": "is missing",
    "model_type": _OBJECT,
}
"""What pydantic says in more words, by its types of errors."""


def summarize(error: ValidationError, name: Callable[[str], str] = str) -> str:
    """What pydantic rejects, on one line and without the values, which may be secret.

    ``name`` turns a field's path (``registry_auth.localhost``) into the user's name for it.
    """
    rejected = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        # Of a name that is wrong itself, pydantic says so in one more part.
        field = name(".".join(str(part) for part in item["loc"] if part != "[key]"))
        what = _what(item["type"], item["msg"])
        rejected.append(f"{field}: {what}" if field else what)
    return "; ".join(rejected)


def _what(kind: str, message: str) -> str:
    return _PLAINLY.get(kind) or message.removeprefix("Value error, ")
