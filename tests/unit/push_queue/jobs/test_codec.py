from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from push_queue.jobs.codec import (
    blob_fields,
    fields_of,
    parse_blobs,
    parse_status,
    timestamp,
)
from push_queue.models.job import make_job
from push_queue.models.job_status import BlobStatus, JobState, TargetResult

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
STATE_FIELDS = {"state": "queued", "sequence": "7", "enqueued_at": timestamp(NOW)}
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_times_are_utc_with_milliseconds() -> None:
    seoul = timezone(timedelta(hours=9))
    assert timestamp(NOW.astimezone(seoul)) == "2026-01-31T09:30:00.000Z"


@given(
    targets=st.lists(texts, min_size=1, max_size=3, unique=True),
    labels=st.dictionaries(texts, texts, max_size=3),
    image=st.none() | texts,
)
def test_a_job_survives_its_hash(
    targets: list[str], labels: dict[str, str], image: str | None
) -> None:
    job = make_job(id="a", source="/app.tar", targets=targets, labels=labels, image=image)
    fields = fields_of(job)
    assert all(isinstance(value, str) for value in fields.values())
    status = parse_status(fields | STATE_FIELDS)
    assert status.job == job
    assert (status.state, status.sequence, status.enqueued_at) == (JobState.QUEUED, 7, NOW)


def test_results_are_fields_of_their_own() -> None:
    job = fields_of(make_job(id="a", source="/a", targets=["h:1/a:2", "h:1/a:3", "h:1/a:4"]))
    fields = {"result:h:1/a:2": "sha256:x", "result:h:1/a:3": "superseded"}
    assert parse_status(job | STATE_FIELDS | fields).results == (
        TargetResult(target="h:1/a:2", outcome="pushed", digest="sha256:x"),
        TargetResult(target="h:1/a:3", outcome="superseded"),
    )


def test_fields_of_a_later_version_are_ignored() -> None:
    job = fields_of(make_job(id="a", source="/a", targets=["h:1/a:2"]))
    assert parse_status(job | STATE_FIELDS | {"of a later version": "x"}).id == "a"


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (BlobStatus(digest="sha256:a", size=10, done=3), "3/10"),
        (BlobStatus(digest="sha256:a", size=10, done=10, how="uploaded"), "10/10 uploaded"),
    ],
)
def test_blobs_are_one_word_and_an_amount(blob: BlobStatus, text: str) -> None:
    fields = blob_fields([blob])
    assert fields == {"sha256:a": text}
    assert list(parse_blobs(fields)) == [blob]
