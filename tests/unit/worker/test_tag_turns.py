"""A turn at a tag: taken, renewed, given up, and made good when it ran out."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import fakeredis
import pytest
from redis.asyncio import Redis

from push_queue import Claim, JobStore, Keys, Turn, make_job
from registry_api_v2_client import RegistryClient, RegistryUnavailableError
from tests.support.claims import TURN_SECONDS, succeed
from tests.support.waiting import becomes
from worker.interrupts import DeferError, JobLostError
from worker.tag_turns import TagTurns

TAG = "localhost:15000/team/app:1"
OLD, NEW = "sha256:old", "sha256:new"


class Registry:
    """In place of the registry client: what the tag stands for."""

    def __init__(self) -> None:
        self.digest = ""
        self.puts: list[tuple[str, str, str]] = []

    def registry(self, host: str) -> Any:
        async def manifest(repository: str, digest: str) -> Any:
            return SimpleNamespace(raw=digest.encode(), media_type="a manifest")

        async def put(repository: str, tag: str, raw: bytes, media_type: str, digest: str) -> None:
            assert (raw, media_type) == (digest.encode(), "a manifest")
            self.puts.append((host, repository, tag))
            self.digest = digest

        return SimpleNamespace(manifest=manifest, put_manifest=put)


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with fakeredis.FakeAsyncRedis() as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, Keys())


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def claims(store: JobStore) -> tuple[Claim, Claim]:
    """Of two jobs for the tag, the older one first."""
    return await start(store, "old"), await start(store, "new")


async def start(store: JobStore, job_id: str) -> Claim:
    await store.create(make_job(id=job_id, source="/a", targets=[TAG]))
    return await restart(store, job_id)


async def restart(store: JobStore, job_id: str) -> Claim:
    claim = await store.start(job_id, 0, "worker")
    assert isinstance(claim, Claim)
    return claim


def turns(
    store: JobStore, claim: Claim, registry: Registry, seconds: float = TURN_SECONDS
) -> TagTurns:
    return TagTurns(store, claim, cast(RegistryClient, registry), seconds)


async def run_out(redis: Redis) -> None:
    await redis.delete(Keys().tag_writer(TAG))


async def results(store: JobStore, job_id: str) -> list[str]:
    return [result.outcome for result in (await store.status(job_id)).results]


async def test_a_turn_is_renewed_while_the_tag_is_written(
    store: JobStore, redis: Redis, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    old, _ = claims
    async with turns(store, old, registry, seconds=0.3).turn(TAG, OLD):
        await redis.pexpire(Keys().tag_writer(TAG), 60_000)

        async def renewed() -> bool:
            return bool(await redis.pttl(Keys().tag_writer(TAG)) <= 300)

        await becomes(renewed)
    assert not await redis.exists(Keys().tag_writer(TAG))
    assert await results(store, "old") == ["pushed"]


async def test_who_comes_second_waits_for_its_turn(
    store: JobStore, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    old, new = claims
    async with turns(store, old, registry).turn(TAG, OLD):
        second = asyncio.create_task(turns(store, new, registry).turn(TAG, NEW).__aenter__())
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
    async with asyncio.timeout(5):
        assert await second


async def test_a_failure_gives_the_turn_up_and_notes_nothing(
    store: JobStore, redis: Redis, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    old, _ = claims
    with pytest.raises(RegistryUnavailableError):
        async with turns(store, old, registry).turn(TAG, OLD):
            raise RegistryUnavailableError("gone")
    assert not await redis.exists(Keys().tag_writer(TAG))
    assert await store.tag_digest(TAG) is None
    assert await results(store, "old") == []


async def test_what_a_newer_job_wrote_is_put_back(
    store: JobStore, redis: Redis, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    old, new = claims
    async with turns(store, old, registry).turn(TAG, OLD) as ours:
        assert ours
        await run_out(redis)
        await succeed(store, new, NEW)
        registry.digest = OLD
    assert registry.digest == NEW
    assert registry.puts == [("localhost:15000", "team/app", "1")]
    assert await results(store, "old") == ["superseded"]


async def test_a_worker_that_lost_its_job_meanwhile_puts_it_back_too(
    store: JobStore, redis: Redis, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    old, new = claims
    async with turns(store, old, registry).turn(TAG, OLD):
        await run_out(redis)
        await restart(store, "old")
        await succeed(store, new, NEW)
        registry.digest = OLD
    assert registry.digest == NEW
    assert await store.succeed(old, OLD) is None


async def test_it_is_put_back_until_it_is_what_it_should_be(
    store: JobStore,
    redis: Redis,
    registry: Registry,
    claims: tuple[Claim, Claim],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A third job writes the tag just while it is put back."""
    old, new = claims
    third = await start(store, "third")
    registry_of = registry.registry

    def slow(host: str) -> Any:
        fast = registry_of(host)

        async def manifest(repository: str, digest: str) -> Any:
            if digest == NEW:
                await succeed(store, third, "sha256:third")
                registry.digest = "sha256:third"
            return await fast.manifest(repository, digest)

        return SimpleNamespace(manifest=manifest, put_manifest=fast.put_manifest)

    monkeypatch.setattr(registry, "registry", slow)
    async with turns(store, old, registry).turn(TAG, OLD):
        await run_out(redis)
        await succeed(store, new, NEW)
        registry.digest = OLD
    assert registry.digest == "sha256:third"


async def test_a_newer_job_that_was_too_slow_writes_again(
    store: JobStore, redis: Redis, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    """The older one may have written after it: nothing tells."""
    old, new = claims
    turn = turns(store, new, registry).turn(TAG, NEW)
    assert await turn.__aenter__()
    await run_out(redis)
    await succeed(store, old, OLD)
    with pytest.raises(DeferError, match="too slowly") as caught:
        await turn.__aexit__(None, None, None)
    assert caught.value.delay == 0
    assert registry.puts == []
    assert await results(store, "new") == []
    assert await store.take_turn(new, TAG, "token", TURN_SECONDS) is Turn.WRITE, "its turn is over"


async def test_a_worker_that_lost_its_job_writes_no_tag(
    store: JobStore, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    _, new = claims
    await restart(store, "new")
    with pytest.raises(JobLostError):
        async with turns(store, new, registry).turn(TAG, NEW):
            pytest.fail("it has a turn")


async def test_a_superseded_tag_is_left_alone(
    store: JobStore, registry: Registry, claims: tuple[Claim, Claim]
) -> None:
    old, new = claims
    await succeed(store, new, NEW)
    async with turns(store, old, registry).turn(TAG, OLD) as ours:
        assert not ours
    assert await store.tag_digest(TAG) == NEW
    assert await results(store, "old") == ["superseded"]
