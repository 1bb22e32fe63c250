"""Which refusals leave uploads that no job can need."""

import pytest

from producer.cli.enqueue_remotely import refused_as_a_whole
from producer.errors import ServerRefusedError
from push_queue.errors import InvalidJobError, JobConflictError


@pytest.mark.parametrize(
    ("error", "whole"),
    [
        (ServerRefusedError("x", "target-not-allowed"), True),
        (InvalidJobError("x"), True),
        # Jobs before it in the batch may be enqueued.
        (JobConflictError("x"), False),
        # They are, but the server is of another release.
        (ServerRefusedError("x", "answer"), False),
    ],
)
def test_an_upload_stays_where_a_job_may_name_it(
    error: InvalidJobError | ServerRefusedError, whole: bool
) -> None:
    assert refused_as_a_whole(error) is whole
