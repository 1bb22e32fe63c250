"""What is done often costs Redis the same, however many jobs there are."""

from collections.abc import Callable

import pytest

from producer import PushQueue
from push_queue.figures.metrics import QueueMetrics, QueueReport
from push_queue.jobs.sources import JobSources
from push_queue.models.job import PushJob
from push_queue.models.job_status import JobState
from push_queue.settings import load_settings
from tests.support.redis_client import Redis
from tests.support.servers import RedisServer

pytestmark = pytest.mark.integration

_JOBS = 2000
_OF_CONNECTIONS = {"hello", "client", "info", "select", "auth", "ping"}


async def commands_of(redis: Redis) -> int:
    """How many commands it has run, without those that a new connection begins with."""
    stats = await redis.info("commandstats")
    names = {name.removeprefix("cmdstat_").partition("|")[0]: name for name in stats}
    return sum(stats[names[name]]["calls"] for name in names.keys() - _OF_CONNECTIONS)


async def bytes_of(redis: Redis) -> int:
    """How many bytes it has answered with."""
    sent: int = (await redis.info("stats"))["total_net_output_bytes"]
    return sent


def job_of(queue: PushQueue, number: int) -> PushJob:
    return queue.describe("/app.tar", f"reg.example.com/app:{number}", job_id=f"job-{number:05}")


async def test_for_a_scrape_many_jobs_take_no_more_commands_and_no_longer_answers(
    start_redis: Callable[[], RedisServer],
) -> None:
    async with PushQueue.connect(load_settings(redis_url=start_redis().url)) as queue:
        report, redis = QueueReport(queue.database, 50), queue.database.redis

        async def cost() -> tuple[int, int, QueueMetrics]:
            commands, sent = await commands_of(redis), await bytes_of(redis)
            figures = await report.read()
            return await commands_of(redis) - commands, await bytes_of(redis) - sent, figures

        await queue.enqueue_many([job_of(queue, 0)])
        commands, sent, _ = await cost()
        await queue.enqueue_many([job_of(queue, number) for number in range(1, _JOBS)])
        more_commands, more_sent, figures = await cost()
        assert figures.jobs[JobState.QUEUED] == figures.waiting["normal"].due == _JOBS
        assert more_commands == commands
        assert more_sent < sent + _JOBS


async def test_a_job_that_is_done_does_not_ask_all_others_whether_they_need_its_tar(
    start_redis: Callable[[], RedisServer],
) -> None:
    async with PushQueue.connect(load_settings(redis_url=start_redis().url)) as queue:
        redis: Redis = queue.database.redis
        sources = JobSources(queue.database)
        await queue.enqueue_many([job_of(queue, number) for number in range(_JOBS)])
        await redis.hset("push:job:job-00000", "result:reg.example.com/app:0", "sha256:d")
        before = await commands_of(redis)
        leave = await sources.leave("job-00000", None)
        assert leave is not None
        assert not leave.last
        assert await commands_of(redis) - before < 20
