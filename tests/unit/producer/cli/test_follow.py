"""What somebody is told who waits for jobs while the queue goes away."""

from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from producer.cli.follow import follow
from producer.cli.views import SilentView
from producer.errors import ServerUnavailableError
from push_queue.errors import RedisUnavailableError
from push_queue.models.job_status import JobState, JobStatus
from tests.unit.producer.test_views import a_job


class GoesAway:
    """A queue that tells of the end of one job, and then no more."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def watch(self, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
        yield a_job(JobState.SUCCEEDED, id=job_ids[0])
        raise self._error


@pytest.mark.parametrize("error", [RedisUnavailableError("away"), ServerUnavailableError("away")])
async def test_who_waits_while_the_queue_stays_away_is_told_how_to_go_on(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = cast("Any", GoesAway(error))
    with pytest.raises(type(error)):
        await follow(queue, ["a", "b", "c"], SilentView(), owner=queue)
    told = "push-queue: to follow again what was enqueued: push-queue watch b c\n"
    assert capsys.readouterr().err == told
