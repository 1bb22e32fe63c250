"""Work on threads belongs to the task that started it."""

from contextvars import ContextVar

import pytest

from registry_api_v2_client.push.blocks import BlockPool

job: ContextVar[str] = ContextVar("job")


@pytest.mark.parametrize("remote", [False, True])
async def test_work_on_threads_sees_the_context_of_its_task(remote: bool) -> None:
    pool = BlockPool()
    job.set("a job")
    assert await pool.start(job.get) == "a job"
    assert await pool.start_reading(remote, job.get) == "a job"
    pool.close()
