from datetime import UTC, datetime

import pytest

from producer.cli.exits import BadInputError, code_of_error, code_of_jobs
from producer.errors import CannotStartError, PartFailedError
from push_queue.errors import (
    InvalidJobError,
    InvalidSettingsError,
    RedisRefusedError,
    RedisUnavailableError,
    UnknownJobError,
    WaitTimeoutError,
)
from push_queue.models.job_status import JobState, JobStatus
from registry_api_v2_client import (
    InvalidReferenceError,
    RegistryUnavailableError,
    TarReadError,
)


def a_job(state: JobState, error_kind: str | None = None) -> JobStatus:
    return JobStatus(
        id="a", source="/a", targets=("localhost/a:1",), sequence=1, state=state,
        error_kind=error_kind, enqueued_at=datetime(2026, 1, 31, tzinfo=UTC),
    )  # fmt: skip


GOOD = a_job(JobState.SUCCEEDED)
FAILED = a_job(JobState.FAILED, "denied")
BAD_TAR = a_job(JobState.FAILED, "invalid_archive")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RedisUnavailableError(), 3),
        (RedisRefusedError(), 3),
        (BadInputError(), 2),
        (CannotStartError(), 2),
        (PartFailedError(), 1),
        (InvalidJobError(), 2),
        (InvalidSettingsError(), 2),
        (UnknownJobError("x"), 2),
        (InvalidReferenceError(), 2),
        (TarReadError(), 2),
        (WaitTimeoutError(), 4),
        (RegistryUnavailableError(), 1),
    ],
)
def test_errors(error: Exception, code: int) -> None:
    assert code_of_error(error) == code


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ([], 0),
        ([GOOD, GOOD], 0),
        ([GOOD, BAD_TAR], 2),
        ([BAD_TAR, FAILED, GOOD], 1),
        ([a_job(JobState.CANCELLED)], 1),
        ([a_job(JobState.FAILED, "source_unreadable")], 2),
        ([a_job(JobState.FAILED, "archive_digest_mismatch")], 2),
        ([a_job(JobState.FAILED, "worker_lost")], 1),
    ],
)
def test_jobs_that_were_waited_for(jobs: list[JobStatus], code: int) -> None:
    assert code_of_jobs(jobs) == code
