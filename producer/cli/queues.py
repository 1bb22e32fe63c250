"""Where a command's jobs are: in Redis, or with a server of the HTTP API."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

from producer.cli.options import Server, server_of, settings_of
from producer.queue import PushQueue
from producer.routed_queue import RoutedQueue
from push_queue.settings import Settings

if TYPE_CHECKING:
    from producer.remote.queue import RemoteQueue

JobQueue: TypeAlias = "PushQueue | RoutedQueue | RemoteQueue"
Opening: TypeAlias = "AbstractAsyncContextManager[JobQueue]"


def queue_of(context: typer.Context, server: str | None, token_file: Path | None) -> Opening:
    """The queue that a command uses; it connects when the block is entered.

    Raises:
        BadInputError, InvalidSettingsError: it is not known which.
    """
    settings = settings_of(context)
    return connected(settings, server_of(context, settings, server, token_file))


@asynccontextmanager
async def connected(settings: Settings, server: Server | None) -> AsyncIterator[JobQueue]:
    """The queue of the server, or else of the settings' Redis.

    Raises:
        ServerRefusedError: the server's URL is none.
        RedisUnavailableError: within three seconds.
    """
    if server is None and settings.redis_routes:
        async with RoutedQueue.connect(settings) as queues:
            yield queues
        return
    if server is None:
        async with PushQueue.connect(settings) as queue:
            yield queue
        return
    # Loaded here: what speaks to Redis needs no HTTP.
    from producer.remote.queue import RemoteQueue

    async with RemoteQueue.connect(server.url, server.token) as remote:
        yield remote
