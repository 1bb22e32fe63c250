from datetime import UTC, datetime, timedelta

import pytest

from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobState, JobStatus

MOMENT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
JOB = JobStatus(
    id="a",
    source="/a",
    targets=("reg.example.com:5000/team/app:1", "localhost/other:2"),
    labels={"team": "a=b", "empty": ""},
    state=JobState.FAILED,
    error_kind="denied",
    sequence=1,
    enqueued_at=MOMENT,
)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"state": "failed", "error_kind": "denied"},
        {"registry": "reg.example.com:5000", "repository": "team/app"},
        {"repository": "other"},
        {"label": ("team", "team=a=b", "empty=")},
        {"since": MOMENT},
    ],
)
def test_a_job_fits(wanted: dict[str, object]) -> None:
    assert JobFilter.model_validate(wanted).fits(JOB)


@pytest.mark.parametrize(
    "wanted",
    [
        {"state": "queued"},
        {"error_kind": "unauthorized"},
        {"registry": "reg.example.com"},
        {"registry": "localhost", "repository": "team/app"},
        {"repository": "app"},
        {"label": ("team", "other")},
        {"label": ("team=a",)},
        {"since": MOMENT + timedelta(milliseconds=1)},
    ],
)
def test_a_job_does_not_fit(wanted: dict[str, object]) -> None:
    assert not JobFilter.model_validate(wanted).fits(JOB)


def test_a_job_is_not_looked_for_before_its_time() -> None:
    assert JobFilter().oldest == 0
    assert JobFilter(since=MOMENT).oldest == MOMENT.timestamp() * 1_000_000
