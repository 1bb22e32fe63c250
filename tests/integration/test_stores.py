"""Tars in the buckets of emulators, read by workers elsewhere, with cuts.

CI has no emulators: `make test-stores` installs and runs them.
"""

import asyncio
import json
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.support.big_images import write_big_archive
from tests.support.cutting_proxy import CuttingProxy
from tests.support.elsewhere import Place
from tests.support.servers import wait_for_worker
from tests.support.skopeo import skopeo_inspect
from tests.support.store_emulators import EMULATORS, Azurite, Emulator

pytestmark = [pytest.mark.integration, pytest.mark.store_emulators]

MIB = 1 << 20


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_worker_pushes_from_a_bucket(
    emulator: type[Emulator],
    queue: PushQueue,
    redis_url: str,
    namespace: str,
    registry_host: str,
    repository: str,
    tmp_path: Path,
) -> None:
    tar = write_big_archive(tmp_path / "app.tar", [40 * MIB, 3 * MIB])
    store = emulator(tmp_path / "store")
    async with CuttingProxy(store.host) as way:
        with store.process(way.host) as process:
            await asyncio.to_thread(store.start, process, tar.path)
            bucket = store.url.rpartition("/builds/")[0]
            worker = Place("127.0.0.1").worker(
                tmp_path / "elsewhere",
                PUSH_QUEUE_REDIS_URL=redis_url,
                PUSH_QUEUE_NAMESPACE=namespace,
                PUSH_QUEUE_SOURCE_URLS=f"{bucket}/",
                PUSH_QUEUE_STORES=json.dumps({bucket: store.options(way.host)}),
            )
            with worker:
                await asyncio.to_thread(wait_for_worker, worker, redis_url, namespace)
                way.cut(after=20 * MIB)
                way.cut(after=2 * MIB)
                target = f"{registry_host}/{repository}:1"
                job = await queue.enqueue(store.url, target)
                ended = await queue.wait(job.id, timeout=120)
    assert (ended.state, ended.error, ended.attempt) == (JobState.SUCCEEDED, None, 1)
    assert not way.cuts
    assert (await asyncio.to_thread(skopeo_inspect, target))["Digest"] == ended.digest


async def test_another_key_is_refused(
    queue: PushQueue,
    redis_url: str,
    namespace: str,
    registry_host: str,
    repository: str,
    tmp_path: Path,
) -> None:
    """By Azurite, the emulator that looks at signatures."""
    tar = write_big_archive(tmp_path / "app.tar", [MIB])
    store = Azurite(tmp_path / "store")
    with store.process(store.host) as process:
        await asyncio.to_thread(store.start, process, tar.path)
        options = {**store.options(store.host), "account_key": "d3Jvbmc="}
        worker = Place("127.0.0.1").worker(
            tmp_path / "elsewhere",
            PUSH_QUEUE_REDIS_URL=redis_url,
            PUSH_QUEUE_NAMESPACE=namespace,
            PUSH_QUEUE_SOURCE_URLS="az://bucket/",
            PUSH_QUEUE_STORES=json.dumps({"az://bucket": options}),
        )
        with worker:
            await asyncio.to_thread(wait_for_worker, worker, redis_url, namespace)
            job = await queue.enqueue(store.url, f"{registry_host}/{repository}:1")
            ended = await queue.wait(job.id, timeout=60)
    assert (ended.state, ended.error_kind) == (JobState.FAILED, "source_unreadable")
    assert "403" in (ended.error or "")
