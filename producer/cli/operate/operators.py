"""Who does what such a command asks for: a connection to Redis, or a server of the HTTP API."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import typer

from producer.cli.exits import BadInputError
from producer.cli.options import Server, server_of, settings_of
from producer.cli.signals import run
from producer.operator import Operator
from push_queue.settings import Settings

if TYPE_CHECKING:
    from producer.remote.operator import RemoteOperator

AnyOperator: TypeAlias = "Operator | RemoteOperator"
Result = TypeVar("Result")


def operate(
    context: typer.Context,
    server: str | None,
    token_file: Path | None,
    work: Callable[[AnyOperator], Awaitable[Result]],
) -> Result:
    """The result of the work, done with Redis or with the server that was named.

    Raises:
        BadInputError, InvalidSettingsError: it is not known with which. There may be several.
        ServerRefusedError: the server's URL is none.
        RedisUnavailableError: within three seconds.
    """
    settings = settings_of(context)
    named = server_of(context, settings, server, token_file)
    if named is None and settings.redis_routes:
        raise BadInputError(
            "PUSH_QUEUE_REDIS_ROUTES names several Redis servers; say which with --redis-url"
        )

    async def main() -> Result:
        async with _operator(settings, named) as operator:
            return await work(operator)

    return run(main())


@asynccontextmanager
async def _operator(settings: Settings, server: Server | None) -> AsyncIterator[AnyOperator]:
    if server is None:
        async with Operator.connect(settings) as operator:
            yield operator
        return
    # Loaded here: what speaks to Redis needs no HTTP.
    from producer.remote.operator import RemoteOperator

    async with RemoteOperator.connect(server.url, server.token) as remote:
        yield remote
