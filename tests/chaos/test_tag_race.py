"""Jobs race for one tag, the registry taking its time: the last enqueued wins.

ROUNDS makes it more rounds, as `make chaos` does; SEED other delays.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from producer import JobState, PushQueue
from tests.chaos.read_back import read_tag
from tests.support.images import layer_tar, make_image, oci_blobs, sha256_digest, write_archive
from tests.support.proxy import FaultProxy, Request, is_manifest_put
from tests.support.servers import StartWorker

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SEED = int(os.environ.get("SEED", "1"))
RACERS = 20
WORKERS = 3
LONGEST_DELAY = 0.2

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600 + 5 * ROUNDS)]


class DelayingProxy(FaultProxy):
    """Delays every manifest for a random time."""

    def __init__(self, upstream: str, rng: random.Random) -> None:
        super().__init__(upstream)
        self._rng = rng

    async def _forward_body(self, request: Request, *rest: Any) -> None:
        if is_manifest_put(request):
            await asyncio.sleep(self._rng.uniform(0, LONGEST_DELAY))
        await super()._forward_body(request, *rest)


async def test_a_tag_is_the_last_enqueued_s(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    images = [
        make_image(layer_tar({"number": b"%d" % number}), created=f"{number}")
        for number in range(RACERS)
    ]
    paths = [
        write_archive(tmp_path / f"{number}.tar", oci_blobs, image).path
        for number, image in enumerate(images)
    ]
    for _ in range(WORKERS):
        worker(PUSH_QUEUE_MAX_JOBS=str(RACERS // 2))
    rng = random.Random(SEED)
    async with DelayingProxy(registry_url, rng) as proxy:
        for number in range(ROUNDS):
            name = f"{repository}:{number}"
            order = rng.sample(range(RACERS), RACERS)
            jobs = [await queue.enqueue(paths[index], f"{proxy.host}/{name}") for index in order]
            done = [await queue.wait(job.id, timeout=60) for job in jobs]
            held = read_tag(registry_url, name)
            assert held is not None
            assert held.config_digest == sha256_digest(images[order[-1]].config), f"seed {SEED}"
            assert done[-1].state is JobState.SUCCEEDED
            assert {job.state for job in done} <= {JobState.SUCCEEDED, JobState.SUPERSEDED}
