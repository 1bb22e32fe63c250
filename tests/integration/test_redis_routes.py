"""Two queues on two Redis servers: each registry's jobs go to its own, also while one is away."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from producer import (
    JobConflictError,
    JobState,
    NotAllEnqueuedError,
    PushQueue,
    RoutedQueue,
    UnknownJobError,
)
from push_queue.errors import InvalidJobError, RedisUnavailableError
from push_queue.models.job_filter import JobFilter
from push_queue.settings import Settings
from tests.support.commands import push_queue
from tests.support.images import ARCHIVES
from tests.support.servers import RedisServer, StartWorker, clean_environment

pytestmark = pytest.mark.integration

HERE, THERE = "here.example.com/app", "there.example.com/app"


@dataclass
class Two:
    """Two servers; jobs for ``there.example.com`` and below are with the second."""

    here: RedisServer
    there: RedisServer
    pattern: str = "there.example.com/*"

    @property
    def settings(self) -> Settings:
        return Settings(
            redis_url=SecretStr(self.here.url),
            redis_routes={self.pattern: SecretStr(self.there.url)},
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PUSH_QUEUE_REDIS_URL": self.here.url,
            "PUSH_QUEUE_REDIS_ROUTES": json.dumps({self.pattern: self.there.url}),
        }

    async def push_queue(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = clean_environment(**self.environment)
        return await asyncio.to_thread(push_queue, *arguments, env=env)

    async def ids_of(self, server: RedisServer) -> set[str]:
        async with PushQueue.connect(Settings(redis_url=SecretStr(server.url))) as queue:
            return {job.id for job in await queue.list()}


@pytest.fixture
def two(start_redis: Callable[[], RedisServer]) -> Two:
    return Two(start_redis(), start_redis())


async def test_each_job_is_with_the_redis_of_its_registry(two: Two) -> None:
    async with RoutedQueue.connect(two.settings) as queue:
        jobs = [
            queue.describe("/app.tar", f"{name}:{tag}", job_id=f"{name[0]}{tag}")
            for tag in range(3)
            for name in (HERE, THERE)
        ]
        enqueued = await queue.enqueue_many(jobs)
        alone = await queue.enqueue("/app.tar", f"{THERE}:9", job_id="t9")
        assert [job.id for job in enqueued] == [job.id for job in jobs]
        assert await two.ids_of(two.here) == {"h0", "h1", "h2"}
        assert await two.ids_of(two.there) == {"t0", "t1", "t2", "t9"}
        assert {job.id for job in await queue.list()} == {job.id for job in [*enqueued, alone]}


async def test_a_job_is_found_by_its_id_alone(two: Two) -> None:
    async with RoutedQueue.connect(two.settings) as queue:
        for name in (HERE, THERE):
            await queue.enqueue("/app.tar", f"{name}:1", job_id=name[0])
    async with RoutedQueue.connect(two.settings) as queue:
        for job_id in ("h", "t"):
            assert (await queue.status(job_id)).state is JobState.QUEUED
            assert await queue.cancel(job_id) is JobState.CANCELLED
            assert (await queue.retry(job_id)).state is JobState.QUEUED
            assert await queue.blobs(job_id) == ()
        with pytest.raises(UnknownJobError):
            await queue.status("x")
        with pytest.raises(JobConflictError):
            await queue.enqueue("/other.tar", f"{THERE}:1", job_id="t")


async def test_pages_are_in_the_order_of_enqueueing(two: Two) -> None:
    async with RoutedQueue.connect(two.settings) as queue:
        wanted: list[str] = []
        for number in range(25):
            # More of one than of the other, in no regular order.
            name = THERE if number % 7 in (1, 2, 4) else HERE
            await queue.enqueue("/app.tar", f"{name}:{number}", job_id=f"j{number}")
            wanted.insert(0, f"j{number}")
        assert [job.id for job in await queue.list(limit=7, offset=4)] == wanted[4:11]
        found, before = [], None
        while True:
            page = await queue.find(JobFilter(), before=before, limit=4)
            found += [job.id for job in page.jobs]
            before = page.next
            if before is None:
                break
        assert found == wanted


async def test_one_job_cannot_be_with_two(two: Two) -> None:
    async with RoutedQueue.connect(two.settings) as queue:
        with pytest.raises(InvalidJobError, match="enqueue a job for each"):
            await queue.enqueue("/app.tar", [f"{HERE}:1", f"{THERE}:1"])
    assert await two.ids_of(two.here) == set()


async def test_one_that_is_away_holds_up_its_own_jobs_alone(
    two: Two, tmp_path: Path, worker: StartWorker, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    two.pattern = f"{registry_host}/{repository}/there/*"
    for server in (two.here, two.there):
        worker(PUSH_QUEUE_REDIS_URL=server.url, PUSH_QUEUE_NAMESPACE="push")
    two.there.kill()
    async with RoutedQueue.connect(two.settings) as queue:
        jobs = [
            queue.describe(archive.path, f"{registry_host}/{repository}/{name}/app:1", job_id=name)
            for name in ("here", "there")
        ]
        with pytest.raises(NotAllEnqueuedError, match="1 of 2 jobs are not enqueued") as caught:
            await queue.enqueue_many(jobs)
        assert [job.id for job in caught.value.enqueued] == ["here"]
        done = [job async for job in queue.watch("here")][-1]
        assert done.state is JobState.SUCCEEDED
        with pytest.raises(RedisUnavailableError):
            await queue.status("there")
    two.there.start()
    async with RoutedQueue.connect(two.settings) as queue:
        again = await queue.enqueue_many(jobs)
        assert again[0].state is JobState.SUCCEEDED
        ends = {job.id: job.state async for job in queue.watch("here", "there")}
    assert set(ends.values()) == {JobState.SUCCEEDED}


async def test_the_command_makes_a_job_for_each(two: Two, tmp_path: Path) -> None:
    archive = str(ARCHIVES["guide"](tmp_path).path)
    targets = ("--to", f"{HERE}:1", "--to", f"{THERE}:1", "--to", f"{HERE}:2")
    done = await two.push_queue("enqueue", archive, *targets)
    assert done.returncode == 0, done.stderr
    here, there = await two.ids_of(two.here), await two.ids_of(two.there)
    assert (len(here), len(there)) == (1, 1)
    assert set(done.stdout.split()) == here | there
    listed = await two.push_queue("list", "--json")
    assert {job["id"] for job in json.loads(listed.stdout)} == here | there
    shown = await two.push_queue("status", *there)
    assert f"{THERE}:1" in shown.stdout
    named = await two.push_queue("enqueue", archive, *targets, "--id", "x")
    assert named.returncode == 2


async def test_the_command_tells_what_is_enqueued(two: Two, tmp_path: Path) -> None:
    archive = str(ARCHIVES["guide"](tmp_path).path)
    two.there.kill()
    targets = ("--to", f"{HERE}:1", "--to", f"{THERE}:1")
    done = await two.push_queue("enqueue", archive, *targets)
    assert done.returncode == 3
    assert set(done.stdout.split()) == await two.ids_of(two.here)
    assert "1 of 2 jobs are not enqueued" in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error" in line]) == 1


async def test_the_doctor_looks_at_each(two: Two) -> None:
    async with PushQueue.connect(Settings(redis_url=SecretStr(two.there.url))) as queue:
        await queue.enqueue("/app.tar", f"{THERE}:1")
    here, there = (
        Settings(redis_url=SecretStr(x.url)).redis_address for x in (two.here, two.there)
    )
    found = json.loads((await two.push_queue("doctor", "--json")).stdout)
    waiting = {each["subject"]: each["text"] for each in found}
    assert waiting[f"workers at {here}"] == "none runs, and 0 jobs wait"
    assert waiting[f"workers at {there}"] == "none runs, and 1 job waits"
    two.there.kill()
    done = await two.push_queue("doctor", "--json")
    (problem,) = (each for each in json.loads(done.stdout) if each["severity"] == "problem")
    assert (done.returncode, problem["subject"]) == (1, f"Redis at {there}")
    assert "PUSH_QUEUE_REDIS_ROUTES" in problem["text"]


def test_a_route_that_is_none_is_named() -> None:
    env = {"PUSH_QUEUE_REDIS_ROUTES": '{"reg.example.com/*": "http://secret@x"}'}
    done = push_queue("list", env=clean_environment(**env))
    assert done.returncode == 2
    assert "PUSH_QUEUE_REDIS_ROUTES" in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
