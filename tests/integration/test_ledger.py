"""The ledger's unit tests once more, on a real Valkey; and a push that loses it in mid-upload."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from registry_api_v2_client.push.engine import ImagePusher
from tests.support.big_images import write_big_archive
from tests.support.images import sha256_digest
from tests.support.processes import free_port
from tests.support.proxy import FaultProxy, is_patch
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.servers import RedisServer
from tests.support.skopeo import decompress
from tests.support.spec_registry import SpecRegistry
from tests.unit.worker.test_redis_ledger import *  # noqa: F403 - its tests are ours
from worker.redis_ledger import RedisLedger

pytestmark = pytest.mark.integration


@pytest.fixture
async def lost_redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(f"redis://127.0.0.1:{free_port()}") as client:
        yield client


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_push_goes_on_when_redis_goes_away_in_its_middle(
    comes_back: bool, tmp_path: Path, start_redis: Callable[[], RedisServer], keys: Keys
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000, 3_000_000])
    server = start_redis()
    async with (
        Redis.from_url(server.url) as client,
        SpecRegistry() as registry,
        FaultProxy(registry.url) as proxy,
    ):
        pusher = ImagePusher(ledger=RedisLedger(Database(client, keys), 1), retry=FEW_AND_FAST)
        hold = proxy.hold(is_patch, after=1_000_000)
        pushing = asyncio.create_task(
            push(pusher, big.path, f"{proxy.url}/app", f"{proxy.url}/copy")
        )
        await hold.reached.wait()
        server.kill()
        if comes_back:
            server.start()
        hold.release()
        async with asyncio.timeout(60):
            await pushing
        pusher.close()
        for name in ("app", "copy"):
            stored = registry.repositories[name].blobs
            layers = registry.manifest(name, "1")["layers"]
            contents = [decompress(stored[layer["digest"]]) for layer in layers]
            assert list(map(sha256_digest, contents)) == big.diff_ids


@pytest.mark.parametrize("origin", ["elsewhere", "own"])
async def test_a_forged_upload_makes_no_request_elsewhere_and_deletes_no_manifest(
    origin: str, tmp_path: Path, redis: Redis, keys: Keys
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [3_000_000])
    async with SpecRegistry() as registry, FaultProxy(registry.url) as other:
        pusher = ImagePusher(ledger=RedisLedger(Database(redis, keys), 1), retry=FEW_AND_FAST)
        host = registry.url.removeprefix("http://")
        (diff_id,) = big.diff_ids
        await push(pusher, big.path, f"{registry.url}/app")
        (encoded,) = [key.decode() async for key in redis.scan_iter(f"{keys.layer(diff_id)}*")]
        noted = keys.upload(host, "app", encoded.removeprefix(keys.layer("")))
        kept = next(iter(registry.repositories["app"].manifests))
        forged = {
            "elsewhere": f"{other.url}/v2/app/blobs/uploads/1",
            "own": f"{registry.url}/v2/app/manifests/{kept}",
        }
        await redis.set(noted, forged[origin], ex=60)
        await redis.delete(encoded)
        registry.repositories["app"].blobs.clear()
        await push(pusher, big.path, f"{registry.url}/app")
        pusher.close()
        assert other.count(lambda _: True) == 0
        assert not any(
            "/manifests/" in path for method, path in registry.requests if method == "DELETE"
        )


async def test_a_larger_blob_is_not_what_a_layer_becomes(
    tmp_path: Path, redis: Redis, keys: Keys
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [3_000_000])
    larger = write_big_archive(tmp_path / "larger.tar", [9_000_000], seed=1)
    async with SpecRegistry() as registry:
        pusher = ImagePusher(ledger=RedisLedger(Database(redis, keys), 1), retry=FEW_AND_FAST)
        await push(pusher, larger.path, f"{registry.url}/app")
        await push(pusher, big.path, f"{registry.url}/other")
        (other,) = registry.manifest("app", "1")["layers"]
        before = registry.manifest("other", "1")
        (key,) = [key async for key in redis.scan_iter(f"{keys.layer(big.diff_ids[0])}*")]
        remembered = json.loads(await redis.get(key) or b"")
        forged = remembered | {"digest": other["digest"], "size": other["size"]}
        await redis.set(key, json.dumps(forged), ex=60)
        await push(pusher, big.path, f"{registry.url}/app")
        pusher.close()
        assert registry.manifest("app", "1") == before
        assert json.loads(await redis.get(key) or b"") == remembered, "and repaired"
