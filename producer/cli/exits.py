"""The exit code of each error."""

from collections.abc import Iterable, Sequence

from producer.cli.exit_code import ExitCode
from producer.errors import (
    CannotStartError,
    NoSpoolError,
    ServerRefusedError,
    ServerUnavailableError,
    UploadError,
)
from push_queue.error_kinds import BAD_INPUT
from push_queue.errors import (
    InvalidFilterError,
    InvalidJobError,
    InvalidSettingsError,
    OldWorkerError,
    QueueError,
    RedisUnavailableError,
    SourceGoneError,
    UnknownJobError,
    UnknownWebhookError,
    UnknownWorkerError,
    WaitTimeoutError,
    WebhookInUseError,
)
from push_queue.models.job_status import JobState, JobStatus
from registry_api_v2_client.exceptions import RegistryError, TarReadError, ValidationError


class BadInputError(Exception):
    """The command as typed cannot be run; the message says why."""


class BadInputsError(BadInputError):
    """Several arguments are wrong; each is an error of its own."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


class NotVerifiedError(Exception):
    """The registry cannot be asked what it holds."""


# First match wins.
_CODES: tuple[tuple[tuple[type[Exception], ...], ExitCode], ...] = (
    ((RedisUnavailableError, ServerUnavailableError), ExitCode.NO_REDIS),
    ((WaitTimeoutError, NotVerifiedError), ExitCode.UNDECIDED),
    ((BadInputError, InvalidJobError, InvalidSettingsError, UnknownJobError), ExitCode.BAD_INPUT),
    ((InvalidFilterError, UnknownWorkerError, OldWorkerError), ExitCode.BAD_INPUT),
    ((UnknownWebhookError, WebhookInUseError), ExitCode.BAD_INPUT),
    ((CannotStartError, NoSpoolError, ServerRefusedError, UploadError), ExitCode.BAD_INPUT),
    ((SourceGoneError, ValidationError, TarReadError), ExitCode.BAD_INPUT),
)

EXPECTED_ERRORS = (BadInputError, NotVerifiedError, QueueError, RegistryError)
"""Errors whose message is meant for the user."""


def code_of_error(error: Exception) -> ExitCode:
    """The exit code of an error that ended the command."""
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return ExitCode.PUSH_FAILED


def code_of_jobs(jobs: Iterable[JobStatus]) -> ExitCode:
    """The exit code of jobs that were waited for; a failed push outweighs bad input."""
    codes = {_code_of_job(job) for job in jobs}
    for code in (ExitCode.PUSH_FAILED, ExitCode.BAD_INPUT):
        if code in codes:
            return code
    return ExitCode.SUCCESS


def _code_of_job(job: JobStatus) -> ExitCode:
    # Superseded counts as success: a newer image has the tag.
    if job.state in (JobState.SUCCEEDED, JobState.SUPERSEDED):
        return ExitCode.SUCCESS
    bad_input = job.state is JobState.FAILED and job.error_kind in BAD_INPUT
    return ExitCode.BAD_INPUT if bad_input else ExitCode.PUSH_FAILED
