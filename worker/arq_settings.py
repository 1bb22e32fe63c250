"""The settings of arq's own worker, ``arq worker.WorkerSettings``.

If it cannot start, it ends with one line and the exit code of ``push-worker``. arq itself would end
with a traceback.
"""

import asyncio
import logging
from typing import Any

from push_queue.errors import QueueError
from push_queue.redis.connection import connect
from push_queue.settings import Settings, load_settings
from registry_api_v2_client import RegistryError

from .arq_options import worker_options
from .exits import fail

logger = logging.getLogger(__name__)


def arq_settings() -> dict[str, Any]:
    """Keyword arguments for arq's own ``Worker``, which warns at its start about its limits.

    Raises:
        SystemExit: the settings are bad, or Redis cannot be reached.
    """
    try:
        settings = load_settings()
        asyncio.run(_reach_redis(settings))
    except QueueError as error:
        fail(error)
    options = worker_options(settings)

    async def on_startup(ctx: dict[str, Any]) -> None:
        logger.warning(
            "arq's own worker ends when Redis refuses, is down or fails over, and a second signal "
            "disturbs jobs that are being handed back: run `push-worker` to avoid both"
        )
        try:
            await options["on_startup"](ctx)
        except (QueueError, RegistryError) as error:
            fail(error)

    return {**options, "on_startup": on_startup}


async def _reach_redis(settings: Settings) -> None:
    """Fail early if Redis is down: arq connects before any hook of ours runs."""
    await (await connect(settings)).aclose()
