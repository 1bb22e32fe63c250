from datetime import UTC, datetime

import pytest

from push_queue.errors import InvalidJobError
from push_queue.models.assignments import Assignment
from push_queue.models.ids import new_job_id
from push_queue.models.job import PushJob, make_job
from push_queue.models.job_status import JobState, JobStatus

TARGET = "localhost:15000/app:1"
VALID = {"id": "job-1", "source": "/app.tar", "targets": [TARGET]}


def test_a_job_survives_the_wire() -> None:
    job = make_job(**VALID, labels={"a": "b"}, image="app:1")
    assert PushJob.model_validate_json(job.model_dump_json()) == job


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "a b"),
        ("id", "a:b"),
        ("id", "line\n"),
        ("id", "x" * 129),
        ("source", "relative.tar"),
        ("source", "/a\0b"),
        ("source", "/" + "x" * 4096),
        ("source", "/\udcff"),
        ("targets", []),
        ("targets", [TARGET, TARGET]),
        ("targets", [f"{TARGET}{number}" for number in range(65)]),
        ("compression", "lzma"),
        ("max_attempts", 0),
        ("max_attempts", 101),
        ("labels", {"": "x"}),
        ("labels", {"x": "y" * 1025}),
        ("labels", {str(number): "" for number in range(33)}),
        ("password", "secret"),
    ],
)
def test_an_impossible_job_is_named_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidJobError, match=f"invalid job: {field}") as caught:
        make_job(**{**VALID, field: value})
    assert "\n" not in str(caught.value)


def test_what_is_unknown_or_missing_is_said_in_words() -> None:
    with pytest.raises(InvalidJobError, match=r"password: is unknown; leave it out$"):
        make_job(**VALID, password="secret")
    with pytest.raises(InvalidJobError, match="source: is missing"):
        make_job(id="a", targets=[TARGET])


def test_an_impossible_upload_is_not_taken_for_a_path() -> None:
    with pytest.raises(InvalidJobError, match="source: is not upload: with the id"):
        make_job(**{**VALID, "source": "upload:../app"})


def test_nothing_that_shows_a_job_shows_the_signature_in_its_url() -> None:
    url = "https://artifacts.example.com/app.tar?X-Amz-Signature=secret"
    now = datetime.now(UTC)
    job = make_job(**{**VALID, "source": url})
    status = JobStatus(**dict(job), state=JobState.QUEUED, sequence=1, enqueued_at=now)
    for shown in (job, status, Assignment(job, job.targets, 1, 1), [status]):
        for text in (repr(shown), str(shown), f"{shown}"):
            assert "https://artifacts.example.com/app.tar" in text
            assert "secret" not in text
    assert status.source == url


def test_final_states() -> None:
    assert [state for state in JobState if state.final] == [
        "succeeded",
        "failed",
        "cancelled",
        "superseded",
    ]


def test_job_ids_sort_by_time_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for milliseconds in (0, 1, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1):
        monkeypatch.setattr("time.time_ns", lambda: milliseconds * 1_000_000)  # noqa: B023
        ids.append(new_job_id())
    assert ids == sorted(ids)
    assert new_job_id() != new_job_id()
    assert all(make_job(**VALID | {"id": job_id}).id == job_id for job_id in ids)
    assert {len(job_id) for job_id in ids} == {26}
