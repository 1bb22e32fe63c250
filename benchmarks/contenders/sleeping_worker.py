"""Our worker with pushes that only sleep, which leaves the queue to measure.

A job sleeps for the seconds that its source, an empty file, is named by: ``…/0.5``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import worker.cli.worker_run
from push_queue.redis.retries import Patience
from push_queue.settings import Settings
from registry_api_v2_client import PushedImage, Reference, RegistryClient, SourceFile, TagOrder
from registry_api_v2_client.media_types import OCI
from worker.arq_options import worker_options

DIGEST = f"sha256:{0:064x}"


class SleepingClient:
    """Takes the place of the registry client; tags take their turns as usual."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    async def push(
        self, source: SourceFile, targets: Sequence[Reference], *, tag_order: TagOrder, **_: Any
    ) -> PushedImage:
        await asyncio.sleep(float(source.path.name))
        for target in targets:
            async with tag_order.turn(str(target), DIGEST):
                pass
        return PushedImage(DIGEST, OCI.manifest)

    async def close(self) -> None:
        await self._client.close()


def sleeping_options(settings: Settings, patience: Patience, *, heeds: bool) -> dict[str, Any]:
    """``worker_options`` with a client that sleeps."""
    options = worker_options(settings, patience, heeds=heeds)

    async def on_startup(ctx: dict[str, Any]) -> None:
        await options["on_startup"](ctx)
        ctx["runtime"] = replace(ctx["runtime"], client=SleepingClient(ctx["runtime"].client))

    return {**options, "on_startup": on_startup}


if __name__ == "__main__":
    worker.cli.worker_run.worker_options = sleeping_options  # type: ignore[attr-defined, assignment]
    worker.cli.main()
