"""Ledgers of one process: what they know, and that a claim is held by one at a time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry_api_v2_client.descriptors import BlobInfo
from registry_api_v2_client.push.disk_ledger import DiskLedger
from registry_api_v2_client.push.ledger import MemoryLedger

LAYER = "sha256:aa"
BLOB = BlobInfo("sha256:bb", 7, "application/x")


@pytest.fixture(params=["memory", "disk"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryLedger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with DiskLedger(tmp_path / "ledger") as ledger:
        yield ledger


async def test_encodings_are_kept_apart(ledger: MemoryLedger) -> None:
    await ledger.remember_encoded(f"{LAYER}:gzip-1", BLOB)
    assert await ledger.encoded(f"{LAYER}:gzip-1") == BLOB
    assert await ledger.encoded(f"{LAYER}:gzip-2") is None
    assert await ledger.encoded("sha256:cc:gzip-1") is None


async def test_repositories_are_kept_apart_by_registry(ledger: MemoryLedger) -> None:
    await ledger.remember_repository("one", "app", LAYER)
    await ledger.remember_repository("one", "base", LAYER)
    assert list(await ledger.repositories("one", LAYER)) == ["app", "base"]
    assert list(await ledger.repositories("two", LAYER)) == []
    await ledger.forget_repository("one", "app", LAYER)
    await ledger.forget_repository("one", "never known", LAYER)
    assert list(await ledger.repositories("one", LAYER)) == ["base"]


async def test_a_claim_is_held_by_one_at_a_time(ledger: MemoryLedger) -> None:
    holders = most = 0

    async def work() -> bool:
        nonlocal holders, most
        async with ledger.claim("registry", "blob", 1) as mine:
            holders += mine
            most = max(most, holders)
            await asyncio.sleep(0)
            holders -= mine
            return mine

    outcomes = await asyncio.gather(*(work() for _ in range(20)))
    assert most == 1
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_who_waited_does_so_until_the_claim_is_given_up(ledger: MemoryLedger) -> None:

    async def wait() -> bool:
        async with ledger.claim("registry", "blob", 1) as mine:
            return mine

    async with ledger.claim("registry", "blob", 1):
        waiter = asyncio.create_task(wait())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiter.done()
    assert await waiter is False
    assert await wait() is True


async def test_claims_of_other_blobs_and_registries_are_free(ledger: MemoryLedger) -> None:
    async with (
        asyncio.timeout(60),
        ledger.claim("registry", "blob", 1),
        ledger.claim("registry", "other", 1) as other,
        ledger.claim("elsewhere", "blob", 1) as elsewhere,
    ):
        assert (other, elsewhere) == (True, True)


async def test_a_claim_is_free_again_after_a_failure(ledger: MemoryLedger) -> None:
    with pytest.raises(ZeroDivisionError):
        async with ledger.claim("registry", "blob", 1):
            raise ZeroDivisionError
    async with asyncio.timeout(60), ledger.claim("registry", "blob", 1) as mine:
        assert mine is True


async def test_a_waiter_that_gives_up_holds_up_nobody(ledger: MemoryLedger) -> None:

    async def wait() -> None:
        async with ledger.claim("registry", "blob", 1):
            pass

    async with ledger.claim("registry", "blob", 1):
        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
    async with asyncio.timeout(60), ledger.claim("registry", "blob", 1):
        pass
