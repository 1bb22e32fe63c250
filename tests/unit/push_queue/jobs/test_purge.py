"""What is forgotten on request: finished jobs, and what is known about a registry."""

from collections.abc import Mapping

import pytest

from push_queue.errors import UnknownJobError
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.registries.knowledge import ForgottenKnowledge, RegistryKnowledge
from tests.support.assignments import succeed, write_tags
from tests.support.redis_client import Redis
from tests.support.stores import Stores

DIGEST = "sha256:" + "d" * 64
OLD_DIGEST = "sha256:" + "0" * 64
HOST = "reg.example.com:5000"

KNOWN: Mapping[str, str] = {
    f"push:blob:{HOST}:{DIGEST}": "blobs",
    f"push:upload:{HOST}/team/app:{DIGEST}:gzip": "uploads",
}
OTHER = (
    f"push:blob:other.example.com:{DIGEST}",
    f"push:blob:{HOST}0:{DIGEST}",
    f"push:blob:x{HOST}:{DIGEST}",
    "push:blob:reg-example.com:5000:x",
    f"push:layer:{DIGEST}:gzip",
    f"push:claim:{HOST}:{DIGEST}",
    f"push:tag:{HOST}/team/app:1",
    f"push:tag:{HOST}/team/app:1:writer",
    f"push:tag:other.example.com/{HOST}/app:1",
    f"push:job:{HOST}",
    f"push:unwanted:/images:{HOST}/app.tar",
    f"push:registry:{HOST}:slots",
    f"elsewhere:blob:{HOST}:{DIGEST}",
)


async def start(stores: Stores, job_id: str, target: str) -> Assignment:
    await stores.jobs.create(make_job(id=job_id, source="/a.tar", targets=[target]))
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def end(stores: Stores, job_id: str, how: JobState) -> None:
    assignment = await start(stores, job_id, f"{HOST}/{job_id}:1")
    if how is JobState.SUCCEEDED:
        await succeed(stores, assignment, DIGEST)
    elif how is JobState.FAILED:
        await stores.attempts.fail(assignment, "no", "denied")


async def keys_of(redis: Redis, job_id: str) -> set[bytes]:
    return set(await redis.keys(f"push:job:{job_id}*"))


@pytest.mark.parametrize("how", [JobState.SUCCEEDED, JobState.FAILED])
async def test_a_finished_job_leaves_nothing(stores: Stores, redis: Redis, how: JobState) -> None:
    await end(stores, "a", how)
    await redis.hset("push:job:a:blobs", DIGEST, "1/1 uploaded")
    await stores.jobs.purge_all(["a"])
    with pytest.raises(UnknownJobError):
        await stores.jobs.status("a")
    assert await keys_of(redis, "a") == set()
    assert await stores.jobs.statuses() == []
    assert set((await stores.jobs.counts()).values()) == {0}
    assert await redis.zcard("push:finished") == 0
    await end(stores, "a", how)
    assert (await stores.jobs.status("a")).state is how


async def test_the_order_of_tags_stays(stores: Stores, redis: Redis) -> None:
    await end(stores, "a", JobState.SUCCEEDED)
    await stores.jobs.purge_all(["a"])
    assert await redis.exists(f"push:tag:{HOST}/a:1")


@pytest.mark.parametrize("how", [JobState.QUEUED, JobState.RUNNING])
async def test_a_job_that_is_not_over_stays(stores: Stores, redis: Redis, how: JobState) -> None:
    if how is JobState.QUEUED:
        await stores.jobs.create(make_job(id="a", source="/a.tar", targets=["h/a:1"]))
    else:
        await end(stores, "a", how)
    before = await redis.hgetall("push:job:a")
    await stores.jobs.purge_all(["a", "nobody"])
    assert await redis.hgetall("push:job:a") == before
    assert [job.state for job in await stores.jobs.statuses()] == [how]


async def test_a_record_that_cannot_be_read_is_forgotten_too(stores: Stores, redis: Redis) -> None:
    await end(stores, "a", JobState.FAILED)
    await redis.delete("push:job:a")
    await redis.set("push:job:a", "no hash")
    await stores.jobs.purge_all(["a"])
    assert await redis.exists("push:job:a") == 0
    assert await stores.jobs.statuses() == []


async def test_what_is_known_of_one_registry_is_forgotten(stores: Stores, redis: Redis) -> None:
    for key in (*KNOWN, *OTHER):
        await redis.set(key, "1")
    knowledge = RegistryKnowledge(stores.database)
    counted = ForgottenKnowledge(blobs=1, uploads=1)
    assert await knowledge.forget(HOST, dry_run=True) == counted
    assert await redis.dbsize() == len(KNOWN) + len(OTHER)
    assert await knowledge.forget(HOST) == counted
    assert {key.decode() for key in await redis.keys("*")} == set(OTHER)
    assert await knowledge.forget(HOST) == ForgottenKnowledge()


async def test_an_older_job_that_runs_meanwhile_does_not_win_the_tag(stores: Stores) -> None:
    older, newer = [await start(stores, job_id, f"{HOST}/app:1") for job_id in ("old", "new")]
    await succeed(stores, newer, DIGEST)
    await RegistryKnowledge(stores.database).forget(HOST)
    await write_tags(stores, older, OLD_DIGEST)
    [result] = (await stores.jobs.status("old")).results
    assert result.outcome == "superseded"


async def test_another_registry_of_the_same_host_is_not_forgotten(
    stores: Stores, redis: Redis
) -> None:
    for key in KNOWN:
        await redis.set(key, "1")
    knowledge = RegistryKnowledge(stores.database)
    host, _, _ = HOST.partition(":")
    assert await knowledge.forget(host) == ForgottenKnowledge()
    assert await redis.dbsize() == len(KNOWN)
    await redis.set(f"push:blob:{host}:{DIGEST}", "1")
    assert await knowledge.forget(host) == ForgottenKnowledge(blobs=1)


async def test_an_address_in_brackets_is_no_pattern(stores: Stores, redis: Redis) -> None:
    await redis.set(f"push:blob:[::1]:5000:{DIGEST}", "1")
    await redis.set(f"push:blob:1:5000:{DIGEST}", "1")
    assert (await RegistryKnowledge(stores.database).forget("[::1]:5000")).blobs == 1
    assert await redis.keys("*") == [f"push:blob:1:5000:{DIGEST}".encode()]
