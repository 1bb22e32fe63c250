"""Thousands of jobs at once, on a real Valkey: by the command line, and through a server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from push_queue.jobs.store import Jobs
from tests.support.api_server import ApiServer
from tests.support.commands import push_queue
from tests.support.redis_client import Redis
from tests.support.servers import clean_environment

pytestmark = pytest.mark.integration

MANY = 10_000
TARGETS = ["localhost:15000/team/app:1"]

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(folder: Path, redis_url: str, namespace: str) -> Cli:
    environment = clean_environment(PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_NAMESPACE=namespace)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return push_queue(*arguments, env=environment, cwd=folder, timeout=600)

    return run


async def enqueue(queue: PushQueue, number: int, **labels: str) -> None:
    jobs = [
        queue.describe(f"/images/{place}.tar", TARGETS, labels={**labels, "n": str(place % 2)})
        for place in range(number)
    ]
    await queue.enqueue_many(jobs)


async def counts(queue: PushQueue) -> dict[JobState, int]:
    found = await Jobs(queue.database).counts()
    return {state: count for state, count in found.items() if count}


async def test_ten_thousand_jobs_are_cancelled_and_enqueued_again(
    queue: PushQueue, cli: Cli
) -> None:
    await enqueue(queue, MANY, team="가")
    done = cli("cancel", "--label", "team=가", "--label", "n=1", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert {job["state"] for job in json.loads(done.stdout)} == {"cancelled"}
    assert done.stderr == "push-queue: 5000 jobs cancelled\n"
    assert await counts(queue) == {JobState.QUEUED: MANY // 2, JobState.CANCELLED: MANY // 2}
    done = cli("retry", "--state", "cancelled", "--yes")
    assert len(done.stdout.splitlines()) == MANY // 2
    assert await counts(queue) == {JobState.QUEUED: MANY}


async def test_a_server_changes_those_that_match(
    queue: PushQueue, cli: Cli, server: ApiServer
) -> None:
    await enqueue(queue, 500, team="가")
    at = ("--server", server.url)
    shown = cli("list", "--label", "team=가", "--label", "n=0", "--limit", "3", "--json", *at)
    assert [job["labels"]["n"] for job in json.loads(shown.stdout)] == ["0"] * 3
    dry = cli("cancel", "--since", "1h", "--label", "n=0", "--dry-run", *at)
    assert dry.stderr == "push-queue: 250 jobs would be cancelled\n"
    done = cli("cancel", "--since", "1h", "--label", "n=0", "--yes", *at)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 250)
    again = cli("retry", "--state", "cancelled", "--yes", *at)
    assert again.stderr == "push-queue: 250 jobs enqueued again\n"
    assert await counts(queue) == {JobState.QUEUED: 500}
    assert json.loads(cli("stats", "--json", *at).stdout)["jobs"]["queued"] == 500
    for command in ("workers", "registries"):
        assert json.loads(cli(command, "--json", *at).stdout) == []


async def test_one_registry_is_forgotten_among_many_keys(
    queue: PushQueue, cli: Cli, redis: Redis, namespace: str
) -> None:
    for start in range(0, MANY, 1000):
        pipeline = redis.pipeline(transaction=False)
        for number in range(start, start + 1000):
            pipeline.set(f"{namespace}:blob:localhost:15000:sha256:{number}", "1", ex=600)
            pipeline.set(f"{namespace}:blob:localhost:15001:sha256:{number}", "1", ex=600)
        await pipeline.execute()
    done = cli("purge", "--registry-knowledge", "localhost:15000", "--yes", "--json")
    assert json.loads(done.stdout) == {"blobs": MANY, "uploads": 0}
    left = [key async for key in redis.scan_iter(f"{namespace}:blob:*", count=1000)]
    assert len(left) == MANY
    assert {key.decode().split(":")[3] for key in left} == {"15001"}


async def test_thousands_of_finished_jobs_are_forgotten(queue: PushQueue, cli: Cli) -> None:
    await enqueue(queue, 2000, team="가")
    assert cli("cancel", "--label", "n=1", "--yes").returncode == 0
    done = cli("purge", "--label", "team=가", "--yes")
    assert done.stderr == "push-queue: 1000 jobs forgotten\n"
    assert await counts(queue) == {JobState.QUEUED: 1000}
    found = await queue.list(limit=1000)
    assert {job.labels["n"] for job in found} == {"0"}
