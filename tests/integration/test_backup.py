"""A backup of Redis, taken under load and restored elsewhere: every job in it runs to its end."""

import shutil
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from pydantic import SecretStr

from producer import JobState, JobStatus, PushQueue
from push_queue.settings import Settings
from tests.support.big_images import write_big_archive
from tests.support.proxy import FaultProxy, is_manifest_put
from tests.support.servers import RedisServer, StartWorker, run_redis
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

BEFORE, AFTER = 12, 4
Save = Callable[[RedisServer, Path], Awaitable[dict[str, str]]]

LEASE = {"PUSH_QUEUE_LEASE_SECONDS": "3"}


async def save_rdb(server: RedisServer, folder: Path) -> dict[str, str]:
    """A snapshot. Redis loads it without its append-only file, which is made again then."""
    with server.client() as client:
        client.bgsave()

        async def saved() -> bool:
            return not client.info("persistence")["rdb_bgsave_in_progress"]

        await becomes(saved)
    shutil.copy(server.directory / "dump.rdb", folder)
    return {"appendonly": "no"}


async def save_aof(server: RedisServer, folder: Path) -> dict[str, str]:
    """The append-only files, while none of them is replaced; they may grow meanwhile."""
    with server.client() as client:
        client.config_set("auto-aof-rewrite-percentage", 0)

        async def idle() -> bool:
            return not client.info("persistence")["aof_rewrite_in_progress"]

        await becomes(idle)
        shutil.copytree(server.directory / "appendonlydir", folder / "appendonlydir")
        client.config_set("auto-aof-rewrite-percentage", 100)
    return {}


@pytest.mark.parametrize("save", [save_rdb, save_aof], ids=["RDB", "AOF"])
async def test_what_was_in_a_backup_runs_to_its_end(
    save: Save,
    tmp_path: Path,
    start_redis: Callable[[], RedisServer],
    worker: StartWorker,
    registry_url: str,
    repository: str,
    namespace: str,
) -> None:
    image = write_big_archive(tmp_path / "image.tar", [30_000, 40_000]).path
    first, backup = start_redis(), tmp_path / "backup"
    backup.mkdir()
    async with FaultProxy(registry_url) as proxy:
        under_way = proxy.hold(is_manifest_put)
        doomed = worker(PUSH_QUEUE_REDIS_URL=first.url, PUSH_QUEUE_MAX_JOBS="2", **LEASE)
        async with connected(first, namespace) as queue:
            await enqueue(queue, image, f"{proxy.host}/{repository}", range(BEFORE))
            await under_way.reached.wait()
            changes = await save(first, backup)
            await enqueue(queue, image, f"{proxy.host}/{repository}", range(BEFORE, BEFORE + AFTER))
        doomed.kill()
        first.kill()
        under_way.release()

        with run_redis(backup, **changes) as restored:
            with restored.client() as client:
                client.config_set("appendonly", "yes")
            worker(PUSH_QUEUE_REDIS_URL=restored.url, **LEASE)
            async with connected(restored, namespace) as queue:
                known = {job.id for job in await queue.list(limit=100)}
                assert known == {f"job-{number}" for number in range(BEFORE)}
                # What came after the backup is lost, and can be enqueued again.
                again = range(BEFORE + AFTER)
                jobs = await enqueue(queue, image, f"{proxy.host}/{repository}", again)
                ends = [await queue.wait(job.id, timeout=60) for job in jobs]
                assert {job.state for job in ends} == {JobState.SUCCEEDED}
            with restored.client() as client:
                assert client.zcard(f"{namespace}:queue") == 0
                assert not list(client.scan_iter("arq:*"))
                assert client.info("persistence")["aof_enabled"]


def connected(server: RedisServer, namespace: str) -> AbstractAsyncContextManager[PushQueue]:
    return PushQueue.connect(Settings(redis_url=SecretStr(server.url), namespace=namespace))


async def enqueue(
    queue: PushQueue, image: Path, repository: str, numbers: Iterable[int]
) -> list[JobStatus]:
    jobs = [
        queue.describe(image, f"{repository}:{number}", job_id=f"job-{number}")
        for number in numbers
    ]
    return await queue.enqueue_many(jobs)
