"""The one place that turns settings into a connection to Redis."""

import asyncio
from typing import Any

from arq.connections import ArqRedis, RedisSettings
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from push_queue.redis import arq_codec
from push_queue.redis.early_python import mend_timeouts
from push_queue.redis.errors import redis_errors
from push_queue.redis.keys import Keys
from push_queue.redis.retries import RIDE_OUT_SECONDS, TRANSIENT, Patience
from push_queue.settings import Settings
from push_queue.settings.redis_url import RedisAddress

mend_timeouts()

CONNECT_SECONDS = 2.5
"""The longest time that a first connection may take."""

_TCP_SECONDS = 2.0
"""The longest time that connecting to one address may take."""

_ANSWER_SECONDS = 5.0
"""A server that does not answer for this long is treated as hung, and a new connection is made."""

_SENTINEL_SECONDS = 1.0
"""The longest time to connect to one of several sentinels, and for each of its answers."""

# Ten years: a queued job must not expire because there was no worker for a while.
_JOB_RECORD_MS = 10 * 365 * 24 * 3600 * 1000


def redis_settings(settings: Settings) -> RedisSettings:
    """For arq's own ``Worker``, which connects by itself."""
    address = settings.redis_address
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
        retry=Patience(RIDE_OUT_SECONDS),
        retry_on_error=list(TRANSIENT),
        **_tls_options(address),
    )


def arq_options() -> dict[str, Any]:
    """What producers' connections and arq's ``Worker`` must agree on, apart from the queue name."""
    return {
        "job_serializer": arq_codec.dumps,
        "job_deserializer": arq_codec.loads,
        "expires_extra_ms": _JOB_RECORD_MS,
    }


async def connect(settings: Settings, ride_out: float = RIDE_OUT_SECONDS) -> ArqRedis:
    """Connect, or fail within :data:`CONNECT_SECONDS`.

    Later commands wait up to ``ride_out`` seconds for a Redis that is down, or as long as
    ``set_retry`` says.

    Raises:
        RedisUnavailableError: nothing answers there.
        RedisRefusedError: the server refuses this client.
    """
    address = settings.redis_address
    kind, pool = (
        (_SentinelRedis, _primary(address)) if address.sentinels else (ArqRedis, _pool(address))
    )
    redis = kind(pool, default_queue_name=Keys(settings.namespace).queue, **arq_options())
    redis.auto_close_connection_pool = True
    try:
        with redis_errors(address):
            async with asyncio.timeout(CONNECT_SECONDS):
                await redis.ping()
    except BaseException:
        await redis.aclose()
        raise
    redis.set_retry(Patience(ride_out, read_only_seconds=ride_out if address.sentinels else 0))
    return redis


class _WholeConnection(AbstractConnection):
    """Retries connecting as a whole.

    redis-py retries only the opening. With a server that hangs or still loads its data, the first
    commands after it fail.
    """

    async def connect(self) -> None:
        if not self.is_connected:
            await self.retry.call_with_retry(super().connect, lambda _: self.disconnect())


class _TcpConnection(_WholeConnection, Connection):
    pass


class _TlsConnection(_WholeConnection, SSLConnection):
    pass


class _UnixConnection(_WholeConnection, UnixDomainSocketConnection):
    pass


class _SentinelRedis(ArqRedis):
    """Closes its connections to the sentinels, too."""

    connection_pool: SentinelConnectionPool

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for client in self.connection_pool.sentinel_manager.sentinels:
            await client.aclose()


class _Pool(ConnectionPool):
    """Opens several connections at a time.

    redis-py 5 has others wait while one connects. With a server that hangs, each command would wait
    until all before it have given up, one after the other.
    """

    async def get_connection(self, *_: object, **__: object) -> AbstractConnection:
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection


class _PrimaryPool(_Pool, SentinelConnectionPool):
    """Drops all connections to the old primary as soon as one of them learns of a new one."""

    async def release(self, connection: Connection) -> None:  # type: ignore[override]
        if (connection.host, connection.port) != self.master_address:
            await connection.disconnect(nowait=True)
        await super().release(connection)

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Idle connections leave the pool first.

        redis-py closes them one by one where they are. A command that takes one of them meanwhile
        fails in mid-send with an ``AttributeError``.
        """
        idle, self._available_connections = self._available_connections, []
        for connection in idle:
            await connection.disconnect(nowait=not inuse_connections)
        if inuse_connections:
            await super().disconnect()


def _primary(address: RedisAddress) -> _PrimaryPool:
    """Connections that ask the sentinels for the primary whenever they are opened."""
    timeouts = {"socket_connect_timeout": _SENTINEL_SECONDS, "socket_timeout": _SENTINEL_SECONDS}
    sentinel = Sentinel(address.sentinels, sentinel_kwargs=timeouts)  # type: ignore[no-untyped-call]
    return _PrimaryPool(  # type: ignore[no-untyped-call]
        address.sentinel_master, sentinel, **_options(address)
    )


def _pool(address: RedisAddress) -> _Pool:
    options = _options(address)
    if address.socket_path:
        return _Pool(connection_class=_UnixConnection, path=address.socket_path, **options)
    options |= {"host": address.host, "port": address.port}
    if address.tls:
        return _Pool(connection_class=_TlsConnection, **options, **_tls_options(address))
    return _Pool(connection_class=_TcpConnection, **options)


def _options(address: RedisAddress) -> dict[str, Any]:
    """Options of all kinds of connection. The first connection is tried once."""
    return {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "socket_connect_timeout": _TCP_SECONDS,
        "socket_timeout": _ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": list(TRANSIENT),
    }


def _tls_options(address: RedisAddress) -> dict[str, Any]:
    options: dict[str, Any] = {"ssl_check_hostname": True, **dict(address.tls_options)}
    if isinstance(options["ssl_check_hostname"], str):
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() in {
            "1",
            "true",
            "yes",
        }
    return options
