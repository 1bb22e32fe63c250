"""The fleet's ledger. The integration tests run this file against a real Valkey as well."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from registry_api_v2_client import BlobInfo, BlobLedger
from tests.support.waiting import becomes
from worker.redis_ledger import RedisLedger

LAYER = "sha256:" + "a" * 64
KEY = f"{LAYER}:gzip-1"
BLOB = BlobInfo("sha256:" + "b" * 64, 7, "application/x")
REGISTRY = "localhost:15000"
LARGE = 100 << 20
LOCATION = "http://localhost:15000/v2/app/blobs/uploads/1?_state=a%2Fb%3D%3D"
CLAIM_SECONDS = 30


@pytest.fixture
def ledger(redis: Redis, keys: Keys) -> RedisLedger:
    return RedisLedger(Database(redis, keys), CLAIM_SECONDS)


@pytest.fixture
def elsewhere(redis: Redis, keys: Keys) -> RedisLedger:
    """Another worker's ledger."""
    return RedisLedger(Database(redis, keys), CLAIM_SECONDS)


# Knowledge


async def test_an_encoding_is_known_to_all(ledger: RedisLedger, elsewhere: RedisLedger) -> None:
    await ledger.remember_encoded(KEY, BLOB)
    assert await elsewhere.encoded(KEY) == BLOB
    assert await elsewhere.encoded(f"{LAYER}:gzip-2") is None
    assert await elsewhere.encoded("sha256:cc:gzip-1") is None


async def test_repositories_are_known_to_all(ledger: RedisLedger, elsewhere: RedisLedger) -> None:
    await ledger.remember_repository("one", "team/app", LAYER)
    await ledger.remember_repository("one", "base", LAYER)
    assert set(await elsewhere.repositories("one", LAYER)) == {"team/app", "base"}
    assert set(await elsewhere.repositories("two", LAYER)) == set()
    await ledger.forget_repository("one", "base", LAYER)
    await ledger.forget_repository("one", "never known", LAYER)
    assert set(await elsewhere.repositories("one", LAYER)) == {"team/app"}


async def test_few_of_many_repositories_are_tried(ledger: RedisLedger) -> None:
    names = {f"app{number}" for number in range(50)}
    for name in names:
        await ledger.remember_repository(REGISTRY, name, LAYER)
    candidates = set(await ledger.repositories(REGISTRY, LAYER))
    assert candidates < names
    assert 1 <= len(candidates) <= 5


async def test_an_interrupted_upload_is_known_to_all(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    await ledger.remember_upload(REGISTRY, "app", KEY, LOCATION)
    assert await elsewhere.upload(REGISTRY, "app", KEY) == LOCATION
    assert await elsewhere.upload(REGISTRY, "other", KEY) is None
    assert await elsewhere.upload(REGISTRY, "app", f"{LAYER}:zstd") is None
    await elsewhere.forget_upload(REGISTRY, "app", KEY)
    assert await ledger.upload(REGISTRY, "app", KEY) is None


async def test_an_upload_that_another_worker_began_anew_is_not_forgotten(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    await ledger.remember_upload(REGISTRY, "app", KEY, LOCATION)
    await elsewhere.remember_upload(REGISTRY, "app", KEY, f"{LOCATION}-2")
    await ledger.forget_upload(REGISTRY, "app", KEY)
    assert await elsewhere.upload(REGISTRY, "app", KEY) == f"{LOCATION}-2"


async def test_everything_expires(ledger: RedisLedger, redis: Redis, keys: Keys) -> None:
    await ledger.remember_encoded(KEY, BLOB)
    await ledger.remember_repository(REGISTRY, "app", LAYER)
    await ledger.remember_upload(REGISTRY, "app", KEY, LOCATION)
    async with ledger.claim(REGISTRY, KEY, LARGE):
        names = [name async for name in redis.scan_iter(match=f"{keys.namespace}:*")]
        assert len(names) == 4
        assert all([await redis.ttl(name) > 0 for name in names])


async def test_knowledge_in_use_stays(ledger: RedisLedger, redis: Redis, keys: Keys) -> None:
    await ledger.remember_encoded(KEY, BLOB)
    fresh = await redis.ttl(keys.layer(KEY))
    await redis.expire(keys.layer(KEY), 60)
    assert await ledger.encoded(KEY) == BLOB
    assert await redis.ttl(keys.layer(KEY)) >= fresh - 1


async def test_entries_read_without_a_decoder(
    ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await ledger.remember_encoded(KEY, BLOB)
    entry = json.loads(await redis.get(keys.layer(KEY)))
    assert {BLOB.digest, BLOB.size, BLOB.media_type} <= set(entry.values())


@pytest.mark.parametrize(
    "entry", [b"", b"nonsense", b"[]", b"{}", b'{"digest":"sha256:a","size":1,"from":"the future"}']
)
async def test_an_entry_of_another_version_is_not_known(
    entry: bytes, ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis.set(keys.layer(KEY), entry)
    assert await ledger.encoded(KEY) is None


# Claims


async def test_a_claim_is_held_by_one_of_the_fleet(redis: Redis, keys: Keys) -> None:
    holders = most = refusals = 0
    ledgers = [RedisLedger(Database(redis, keys), CLAIM_SECONDS) for _ in range(3)]

    async def work(ledger: RedisLedger) -> None:
        nonlocal holders, most, refusals
        while True:
            async with ledger.claim(REGISTRY, KEY, LARGE) as mine:
                if mine:
                    holders += 1
                    most = max(most, holders)
                    await asyncio.sleep(0)
                    holders -= 1
                    return
                refusals += 1

    async with asyncio.timeout(60):
        await asyncio.gather(*map(work, ledgers * 2))
    assert most == 1
    assert refusals >= 5, "all but the first had to wait"


async def test_claims_of_other_blobs_and_registries_are_free(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    async with (
        asyncio.timeout(60),
        ledger.claim(REGISTRY, KEY, LARGE) as first,
        elsewhere.claim(REGISTRY, "other", LARGE) as other,
        elsewhere.claim("two", KEY, LARGE) as two,
    ):
        assert (first, other, two) == (True, True, True)


async def test_a_small_blob_is_not_worth_a_claim(
    ledger: RedisLedger, elsewhere: RedisLedger, redis: Redis, keys: Keys
) -> None:
    async with asyncio.timeout(60), ledger.claim(REGISTRY, KEY, 1000) as first:
        assert await redis.exists(keys.claim(REGISTRY, KEY)) == 0
        async with elsewhere.claim(REGISTRY, KEY, 1000) as second:
            assert (first, second) == (True, True)


async def test_a_claim_is_free_again_after_a_failure(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with ledger.claim(REGISTRY, KEY, LARGE):
            raise ZeroDivisionError
    async with asyncio.timeout(60), elsewhere.claim(REGISTRY, KEY, LARGE) as mine:
        assert mine is True


async def test_a_cancelled_holder_holds_no_more(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with ledger.claim(REGISTRY, KEY, LARGE):
            held.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    async with asyncio.timeout(60), elsewhere.claim(REGISTRY, KEY, LARGE) as mine:
        assert mine is True


async def test_a_waiter_that_gives_up_takes_nothing(
    ledger: RedisLedger, elsewhere: RedisLedger, redis: Redis, keys: Keys
) -> None:
    async def wait() -> None:
        async with elsewhere.claim(REGISTRY, KEY, LARGE):
            pytest.fail("two hold the claim")

    async with ledger.claim(REGISTRY, KEY, LARGE):
        waiter = asyncio.create_task(wait())
        for _ in range(20):
            await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert await redis.exists(keys.claim(REGISTRY, KEY)) == 1
    assert await redis.exists(keys.claim(REGISTRY, KEY)) == 0


async def test_a_dead_holder_s_claim_frees_itself(
    ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis.set(keys.claim(REGISTRY, KEY), "of a worker that is no more", px=100)
    async with asyncio.timeout(60), ledger.claim(REGISTRY, KEY, LARGE) as mine:
        assert mine is False
    async with ledger.claim(REGISTRY, KEY, LARGE) as mine:
        assert mine is True


async def test_a_claim_is_renewed_while_it_is_held(
    ledger: RedisLedger, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.periodic._RENEWALS", 1000 * CLAIM_SECONDS)
    name = keys.claim(REGISTRY, KEY)
    async with ledger.claim(REGISTRY, KEY, LARGE):
        await redis.expire(name, 2 * CLAIM_SECONDS)

        async def renewed() -> bool:
            return bool(0 < await redis.pttl(name) <= 1000 * CLAIM_SECONDS)

        await becomes(renewed)


async def test_a_claim_that_was_lost_is_not_taken_from_its_next_holder(
    redis: Redis, keys: Keys
) -> None:
    name = keys.claim(REGISTRY, KEY)
    async with RedisLedger(Database(redis, keys), CLAIM_SECONDS).claim(REGISTRY, KEY, LARGE):
        await redis.set(name, "another's", px=60_000)
    assert await redis.get(name) == b"another's"


# Without Redis


CALLS: dict[str, tuple[Callable[[BlobLedger], Awaitable[Any]], Any]] = {
    "encoded": (lambda ledger: ledger.encoded(KEY), None),
    "remember_encoded": (lambda ledger: ledger.remember_encoded(KEY, BLOB), None),
    "repositories": (lambda ledger: ledger.repositories(REGISTRY, LAYER), []),
    "remember_repository": (
        lambda ledger: ledger.remember_repository(REGISTRY, "app", LAYER),
        None,
    ),
    "forget_repository": (lambda ledger: ledger.forget_repository(REGISTRY, "app", LAYER), None),
    "upload": (lambda ledger: ledger.upload(REGISTRY, "app", KEY), None),
    "remember_upload": (
        lambda ledger: ledger.remember_upload(REGISTRY, "app", KEY, LOCATION),
        None,
    ),
    "forget_upload": (lambda ledger: ledger.forget_upload(REGISTRY, "app", KEY), None),
}


@pytest.mark.parametrize("name", CALLS)
async def test_without_redis_nothing_is_known(name: str, lost_redis: Redis, keys: Keys) -> None:
    call, expected = CALLS[name]
    assert await call(RedisLedger(Database(lost_redis, keys), CLAIM_SECONDS)) == expected


async def test_without_redis_everybody_may_upload(lost_redis: Redis, keys: Keys) -> None:
    one, two = (RedisLedger(Database(lost_redis, keys), CLAIM_SECONDS) for _ in range(2))
    async with (
        asyncio.timeout(60),
        one.claim(REGISTRY, KEY, LARGE) as first,
        two.claim(REGISTRY, KEY, LARGE) as second,
    ):
        assert (first, second) == (True, True)


async def test_it_is_said_in_one_line_that_redis_is_away(
    lost_redis: Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    await RedisLedger(Database(lost_redis, keys), CLAIM_SECONDS).encoded(KEY)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "\n" not in record.getMessage()
