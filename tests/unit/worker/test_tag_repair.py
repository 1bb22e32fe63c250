"""A tag that gets an outdated image late is repaired; what others put there is left alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from push_queue.jobs.tag_writes import TagWrite, TagWrites, UnsettledTag
from push_queue.models.assignments import Assignment, Turn
from push_queue.models.job import make_job
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from registry_api_v2_client import DeniedError, ManifestUnknownError, RegistryUnavailableError
from tests.support.assignments import TURN_SECONDS, succeed
from tests.support.stores import Stores
from tests.support.tag_registry import TagRegistry
from tests.support.waiting import becomes
from worker import tag_repair as module
from worker.allowed_targets import TargetNotAllowedError
from worker.tag_repair import TagRepair

KEYS = Keys()
TAG, OTHER = "localhost:15000/team/app:1", "localhost:15000/team/app:2"
OLD, NEW = "sha256:old", "sha256:new"
DAY = 24 * 3600


@pytest.fixture
def writes(redis: Redis) -> TagWrites:
    return TagWrites(Database(redis, KEYS))


@pytest.fixture
def pauses(redis: Redis) -> Pauses:
    return Pauses(Database(redis, KEYS))


@pytest.fixture
def registry() -> TagRegistry:
    return TagRegistry()


@pytest.fixture
async def repair(
    writes: TagWrites, pauses: Pauses, registry: TagRegistry
) -> AsyncIterator[TagRepair]:
    repair = TagRepair(writes, pauses, registry.client, TURN_SECONDS)
    yield repair
    await repair.stop()


@pytest.fixture
async def overtaken(stores: Stores, redis: Redis) -> TagWrite:
    """The write of a worker that died in its turn; a newer job has written the tag since."""
    write = await left_over(stores, redis, "old", OLD)
    await succeed(stores, await start(stores, "new"), NEW)
    return write


async def start(stores: Stores, job_id: str, tag: str = TAG) -> Assignment:
    await stores.jobs.create(make_job(id=job_id, source="/a", targets=[tag]))
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def left_over(
    stores: Stores, redis: Redis, job_id: str, digest: str, tag: str = TAG
) -> TagWrite:
    assignment = await start(stores, job_id, tag)
    write = TagWrite(tag, digest, assignment.sequence)
    assert await stores.turns.take(assignment, write, TURN_SECONDS) is Turn.WRITE
    await redis.delete(KEYS.tag_writer(tag))
    return write


async def is_over(redis: Redis, write: TagWrite, seconds: float = 1) -> None:
    """The write could last arrive that many seconds ago."""
    now, _ = await redis.time()
    await redis.zadd(KEYS.writes, {write.note: (now - seconds) * 1000}, xx=True)


async def noted(redis: Redis) -> set[str]:
    return {TagWrite.parse(note.decode()).digest for note in await redis.zrange(KEYS.writes, 0, -1)}


async def the_only(writes: TagWrites) -> UnsettledTag:
    (tag,) = await writes.unsettled()
    return tag


async def test_an_outdated_image_is_replaced(
    overtaken: TagWrite,
    redis: Redis,
    writes: TagWrites,
    repair: TagRepair,
    registry: TagRegistry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry.tags[TAG] = OLD
    await repair.settle(await the_only(writes))
    assert registry.tags[TAG] == NEW
    assert await noted(redis) == {OLD}, "it may arrive once more"
    assert not await redis.exists(KEYS.tag_writer(TAG))
    assert f"{TAG} showed an outdated image" in caplog.text


@pytest.mark.parametrize("shown", [NEW, "sha256:of-someone-else", None])
async def test_what_is_not_outdated_is_left_alone(
    overtaken: TagWrite,
    writes: TagWrites,
    repair: TagRepair,
    registry: TagRegistry,
    shown: str | None,
) -> None:
    if shown:
        registry.tags[TAG] = shown
    await repair.settle(await the_only(writes))
    assert registry.puts == []


async def test_an_older_image_is_not_put_back(
    stores: Stores, redis: Redis, writes: TagWrites, repair: TagRepair, registry: TagRegistry
) -> None:
    """The newest job has not ended its turn, and will write the tag again."""
    old = await start(stores, "old")
    await left_over(stores, redis, "new", NEW)
    await succeed(stores, old, OLD)
    registry.tags[TAG] = NEW
    await repair.settle(await the_only(writes))
    assert registry.puts == []


async def test_what_a_job_wrote_before_it_read_another_archive_is_outdated(
    stores: Stores, redis: Redis, writes: TagWrites, repair: TagRepair, registry: TagRegistry
) -> None:
    await left_over(stores, redis, "job", OLD)
    assignment = await stores.attempts.start("job", 0, "worker")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, NEW)
    registry.tags[TAG] = OLD
    await repair.settle(await the_only(writes))
    assert registry.tags[TAG] == NEW


async def test_a_write_is_forgotten_once_the_tag_is_right_and_the_time_over(
    overtaken: TagWrite, redis: Redis, writes: TagWrites, repair: TagRepair, registry: TagRegistry
) -> None:
    registry.tags[TAG] = NEW
    await repair.settle(await the_only(writes))
    assert await noted(redis) == {OLD}
    await is_over(redis, overtaken)
    registry.tags[TAG] = OLD
    await repair.settle(await the_only(writes))
    assert await noted(redis) == {OLD}, "it was wrong just now"
    await repair.settle(await the_only(writes))
    assert not await redis.exists(KEYS.writes)
    assert registry.tags[TAG] == NEW


async def test_a_write_whose_time_is_prolonged_meanwhile_is_not_forgotten(
    overtaken: TagWrite, redis: Redis, writes: TagWrites, repair: TagRepair
) -> None:
    await is_over(redis, overtaken)
    tag = await the_only(writes)
    await is_over(redis, overtaken, -100)
    await repair.settle(tag)
    assert await noted(redis) == {OLD}


async def test_without_a_newer_image_the_registry_is_not_asked(
    stores: Stores, redis: Redis, writes: TagWrites, repair: TagRepair, registry: TagRegistry
) -> None:
    """The first write of all is one, and that of a job which has written the tag after all."""
    registry.fails = AssertionError("it is asked")
    write = await left_over(stores, redis, "first", OLD)
    await repair.settle(await the_only(writes))
    await succeed(stores, await start(stores, "again"), OLD)
    await repair.settle(await the_only(writes))
    assert await noted(redis) == {OLD}
    await is_over(redis, write)
    await repair.settle(await the_only(writes))
    assert not await redis.exists(KEYS.writes)


async def test_a_tag_that_is_being_written_waits(
    overtaken: TagWrite, stores: Stores, writes: TagWrites
) -> None:
    await is_writing(stores)
    assert await writes.unsettled() == []


async def writes_since(stores: Stores) -> None:
    await succeed(stores, await start(stores, "third"), "sha256:third")


async def is_writing(stores: Stores) -> None:
    assignment = await start(stores, "third")
    write = TagWrite(TAG, "sha256:third", assignment.sequence)
    assert await stores.turns.take(assignment, write, TURN_SECONDS) is Turn.WRITE


@pytest.mark.parametrize("meanwhile", [writes_since, is_writing])
async def test_a_job_that_comes_between_is_not_written_over(
    overtaken: TagWrite,
    stores: Stores,
    writes: TagWrites,
    repair: TagRepair,
    registry: TagRegistry,
    meanwhile: Callable[[Stores], Awaitable[None]],
) -> None:
    registry.tags[TAG] = OLD
    tag = await the_only(writes)
    await meanwhile(stores)
    await repair.settle(tag)
    assert registry.puts == []


@pytest.mark.parametrize(
    ("error", "known"),
    [(RegistryUnavailableError("reset"), False), (DeniedError("no", status=403), True)],
)
async def test_a_repair_is_noted_like_any_write(
    overtaken: TagWrite,
    redis: Redis,
    writes: TagWrites,
    repair: TagRepair,
    registry: TagRegistry,
    error: Exception,
    known: bool,
) -> None:
    registry.tags[TAG], registry.fails_to_put = OLD, error
    with pytest.raises(type(error)):
        await repair.settle(await the_only(writes))
    assert await noted(redis) == ({OLD} if known else {OLD, NEW})
    assert await redis.exists(KEYS.tag_writer(TAG)) == (not known), "until it has run out"


async def test_a_registry_that_fails_is_asked_again_for_a_day(
    overtaken: TagWrite,
    redis: Redis,
    writes: TagWrites,
    repair: TagRepair,
    registry: TagRegistry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry.fails = RegistryUnavailableError("away")
    await is_over(redis, overtaken, DAY - 60)
    with pytest.raises(RegistryUnavailableError):
        await repair.settle(await the_only(writes))
    assert await noted(redis) == {OLD}
    await is_over(redis, overtaken, DAY)
    await repair.settle(await the_only(writes))
    assert not await redis.exists(KEYS.writes)
    assert f"{TAG} is given up" in caplog.text


async def test_a_registry_that_a_person_has_paused_is_left_alone(
    overtaken: TagWrite,
    stores: Stores,
    redis: Redis,
    repair: TagRepair,
    registry: TagRegistry,
    pauses: Pauses,
) -> None:
    elsewhere = "other.example.com/app:1"
    await left_over(stores, redis, "old2", OLD, elsewhere)
    await succeed(stores, await start(stores, "new2", elsewhere), NEW)
    registry.tags = {TAG: OLD, elsewhere: OLD}
    await pauses.pause("localhost:15000")
    await is_over(redis, overtaken, 2 * DAY)

    async def right(*tags: str) -> bool:
        await repair.work()
        return all(registry.tags[tag] == NEW for tag in tags)

    await becomes(lambda: right(elsewhere))
    assert registry.tags[TAG] == OLD
    await pauses.resume("localhost:15000")
    await becomes(lambda: right(TAG))


async def test_a_newest_image_that_is_gone_cannot_be_put_back(
    overtaken: TagWrite, redis: Redis, writes: TagWrites, repair: TagRepair, registry: TagRegistry
) -> None:
    registry.tags[TAG] = OLD
    registry.gone.add(NEW)
    with pytest.raises(ManifestUnknownError):
        await repair.settle(await the_only(writes))
    assert await noted(redis) == {OLD}
    assert not await redis.exists(KEYS.tag_writer(TAG))


async def test_all_tags_are_looked_at_again_and_again(
    overtaken: TagWrite,
    stores: Stores,
    redis: Redis,
    repair: TagRepair,
    registry: TagRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    await left_over(stores, redis, "old2", OLD, OTHER)
    await succeed(stores, await start(stores, "new2", OTHER), NEW)

    async def right() -> bool:
        await repair.work()
        return registry.tags == {TAG: NEW, OTHER: NEW}

    for _ in range(2):
        registry.tags = {TAG: OLD, OTHER: OLD}
        await becomes(right)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RegistryUnavailableError("away"), "it cannot be checked: away"),
        (TimeoutError(), "it cannot be checked: no answer in time"),
        (ZeroDivisionError(), "unexpected error"),
    ],
)
async def test_a_look_that_fails_is_logged_and_waits_longer(
    overtaken: TagWrite,
    redis: Redis,
    repair: TagRepair,
    registry: TagRegistry,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    registry.tags[TAG], registry.fails = OLD, error
    await is_over(redis, overtaken, 100)
    await repair.work()

    async def logged() -> bool:
        return f"{TAG} may show an outdated image: {said}" in caplog.text

    await becomes(logged)
    registry.fails = None
    await repair.work()
    assert registry.puts == []


async def test_while_a_write_may_arrive_a_look_that_failed_is_soon_made_again(
    overtaken: TagWrite,
    repair: TagRepair,
    registry: TagRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    registry.tags[TAG], registry.fails = OLD, RegistryUnavailableError("away")
    await repair.work()
    await asyncio.sleep(0)
    registry.fails = None

    async def right() -> bool:
        await repair.work()
        return registry.tags[TAG] == NEW

    await becomes(right)


async def test_a_tag_is_looked_at_by_one_at_a_time(
    overtaken: TagWrite, repair: TagRepair, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[UnsettledTag] = []
    goes_on = asyncio.Event()

    async def look(tag: UnsettledTag) -> None:
        looks.append(tag)
        await goes_on.wait()

    monkeypatch.setattr(repair, "settle", look)
    for _ in range(2):
        await repair.work()
        await asyncio.sleep(0)
    assert len(looks) == 1


async def test_a_note_that_nobody_understands_goes(redis: Redis, writes: TagWrites) -> None:
    await redis.zadd(KEYS.writes, {"nonsense": 1, "token x digest tag": 1})
    assert await writes.unsettled() == []
    assert not await redis.exists(KEYS.writes)


async def test_a_tag_that_workers_do_not_push_to_is_left_alone(
    overtaken: TagWrite, writes: TagWrites, pauses: Pauses, registry: TagRegistry
) -> None:
    repair = TagRepair(writes, pauses, registry.client, TURN_SECONDS, ["elsewhere.example.com/*"])
    registry.tags[TAG] = OLD
    (tag,) = await writes.unsettled()
    with pytest.raises(TargetNotAllowedError):
        await repair.settle(tag)
    assert registry.tags[TAG] == OLD
