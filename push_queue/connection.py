"""The one place that turns settings into a connection to Redis."""

import asyncio
from dataclasses import replace
from typing import Any, Self

from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import AbstractBackoff, EqualJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from push_queue import codec
from push_queue.keys import Keys
from push_queue.redis_errors import redis_errors
from push_queue.redis_url import RedisAddress
from push_queue.settings import Settings

CONNECT_SECONDS = 2.5
"""Most that a first connection may take."""

_SENTINEL_SECONDS = 1.0
"""Most that connecting to one of several sentinels may take."""

# A restart of Redis is ridden out. Connecting takes some 5 s of attempts, and a command in flight
# connects anew before each of its own, so a command gives up after half a minute.
_RETRIES, _BACKOFF_BASE, _BACKOFF_CAP = 6, 0.1, 2.0

# redis-py lets a refused connection through as the OSError that it is.
_TRANSIENT = (RedisConnectionError, RedisTimeoutError, OSError)

# A queued job must not vanish because no worker came for a while, so arq's record outlives it.
_JOB_RECORD_MS = 10 * 365 * 24 * 3600 * 1000


class Patience(Retry):
    """Commands wait for Redis as long as it takes, until ``end`` is called; a worker's do."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(*_durable(retries=-1))

    def end(self) -> None:
        """From now on a command that fails is given up, also one that is waiting already."""
        self._retries = 0

    def __deepcopy__(self, _: object) -> Self:
        # redis-py copies it into each connection; all are to hear of the end.
        return self


def redis_settings(settings: Settings) -> RedisSettings:
    """For arq's ``Worker``: retries the first connection as well as every command."""
    address = settings.redis_address
    tls: dict[str, Any] = {"ssl_check_hostname": True, **dict(address.tls_options)}
    if isinstance(tls["ssl_check_hostname"], str):
        tls["ssl_check_hostname"] = tls["ssl_check_hostname"].lower() in {"1", "true", "yes"}
    return RedisSettings(
        host=list(address.sentinels) or address.host,
        port=address.port,
        unix_socket_path=address.socket_path,
        database=address.database,
        username=address.username,
        password=address.password,
        ssl=address.tls,
        sentinel=bool(address.sentinels),
        sentinel_master=address.sentinel_master,
        conn_timeout=2,
        conn_retries=10,
        retry=Retry(*_durable()),
        retry_on_error=list(_TRANSIENT),
        **tls,
    )


def arq_options() -> dict[str, Any]:
    """What producers' connections and arq's ``Worker`` must agree on, apart from the queue name."""
    return {
        "job_serializer": codec.dumps,
        "job_deserializer": codec.loads,
        "expires_extra_ms": _JOB_RECORD_MS,
    }


async def connect(settings: Settings) -> ArqRedis:
    """Connect, or fail within :data:`CONNECT_SECONDS`; later commands ride out a short restart.

    Raises:
        RedisUnavailableError: nobody answers there.
        RedisRefusedError: the server does not want us.
    """
    queue = Keys(settings.namespace).queue
    first = replace(redis_settings(settings), conn_retries=0, retry=Retry(NoBackoff(), 0))
    with redis_errors(settings.redis_address):
        async with asyncio.timeout(CONNECT_SECONDS):
            if settings.redis_address.sentinels:
                redis = await _connect_by_sentinel(settings.redis_address, queue)
            else:
                redis = await create_pool(first, default_queue_name=queue, **arq_options())
    redis.set_retry(Retry(*_durable()))
    return redis


class _SentinelRedis(ArqRedis):
    """A client that asks sentinels where the primary is, and closes its connections to them."""

    finder: Sentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for client in self.finder.sentinels:
            await client.aclose()


async def _connect_by_sentinel(address: RedisAddress, queue: str) -> ArqRedis:
    """As arq does it, but for connections that are made anew when the primary changes."""
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        address.sentinels,
        socket_connect_timeout=_SENTINEL_SECONDS,
        db=address.database,
        username=address.username,
        password=address.password,
        retry_on_error=list(_TRANSIENT),
    )
    redis: _SentinelRedis = sentinel.master_for(address.sentinel_master, redis_class=_SentinelRedis)
    redis.finder = sentinel
    redis.default_queue_name = queue
    for name, value in arq_options().items():
        setattr(redis, name, value)
    try:
        await redis.ping()
    except BaseException:
        await redis.aclose()
        raise
    return redis


def _durable(retries: int = _RETRIES) -> tuple[AbstractBackoff, int, Any]:
    """Arguments of redis-py's Retry."""
    return EqualJitterBackoff(cap=_BACKOFF_CAP, base=_BACKOFF_BASE), retries, _TRANSIENT
