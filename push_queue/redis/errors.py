"""The boundary at which redis-py's exceptions become ours."""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ChildDeadlockedError,
    InvalidResponse,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from push_queue.errors import RedisDeniedError, RedisRefusedError, RedisUnavailableError
from push_queue.settings.redis_url import RedisAddress

_Kinds = tuple[type[Exception], ...]

_DENIALS: tuple[tuple[_Kinds, str], ...] = (
    (
        (AuthenticationError, AuthorizationError),
        "refuses the credentials; check user and password in PUSH_QUEUE_REDIS_URL",
    ),
    ((NoPermissionError,), "does not permit what the queue needs; check the user's ACL"),
)
# Protected mode refuses clients of other hosts; the URL may name a database that does not exist.
_DENYING_ANSWERS = {
    "DENIED": "",
    "DB index is out of range": "; change it in PUSH_QUEUE_REDIS_URL",
    "unknown command 'SENTINEL'": "; name sentinels in PUSH_QUEUE_REDIS_URL, or use redis://",
}
"""What to do about each, where it does not say that itself."""
# redis-py derives some of either from its ConnectionError.
_REFUSALS: tuple[tuple[_Kinds, str], ...] = (
    ((ReadOnlyError,), "is a read-only replica; point PUSH_QUEUE_REDIS_URL at the primary"),
    ((OutOfMemoryError,), "is out of memory; raise its maxmemory or let finished jobs expire"),
    ((BusyLoadingError,), "is still loading its data; try again in a moment"),
    ((MaxConnectionsError,), "has no connection left; raise its maxclients"),
)
_START = "start it (`push-queue up` has one), or set PUSH_QUEUE_REDIS_URL"
_DOWN = (ConnectionRefusedError, socket.gaierror)


@contextmanager
def redis_errors(address: object) -> Iterator[None]:
    """Turn what redis-py raises inside into a :class:`RedisUnavailableError`.

    ``address`` names the server in the message; it must print without the password.
    """
    try:
        yield
    except (RedisError, RedisClusterException, ChildDeadlockedError, OSError) as error:
        # OSError covers the built-in TimeoutError and ConnectionError.
        raise translate(error, address) from error


def address_of(redis: Redis) -> RedisAddress:
    """Where a client is connected to, without the credentials."""
    options = redis.connection_pool.connection_kwargs
    return RedisAddress(
        sentinel_master=getattr(redis.connection_pool, "service_name", ""),
        host=options.get("host", "localhost"),
        port=options.get("port", 6379),
        socket_path=options.get("path"),
    )


def translate(error: Exception, address: object) -> RedisUnavailableError:
    """The one-line error for the user."""
    for table, ours in ((_DENIALS, RedisDeniedError), (_REFUSALS, RedisRefusedError)):
        for kinds, advice in table:
            if isinstance(error, kinds):
                return ours(f"Redis at {address} {advice}")
    if isinstance(error, ResponseError):
        said = f"Redis at {address} answers: {_one_line(error)}"
        for begins, advice in _DENYING_ANSWERS.items():
            if str(error).startswith(begins):
                return RedisDeniedError(said + advice)
        return RedisRefusedError(said)
    return RedisUnavailableError(
        f"cannot reach Redis at {address} ({_reason(error)}); {_advice(error, address)}"
    )


def is_of_another_type(error: Exception) -> bool:
    """Whether a command was for another type than the key has."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")


def _reason(error: Exception) -> str:
    """The system's own message, if there is one. That of redis-py repeats the address."""
    if isinstance(error, MasterNotFoundError):
        return "no live sentinel knows it"
    if isinstance(error, InvalidResponse):
        return "what answers there is no Redis"
    if isinstance(error, TimeoutError):  # asyncio's, which has no text
        return "no answer"
    cause = error.__context__
    if isinstance(cause, ssl.SSLError):
        # Its error numbers are not the system's.
        return f"TLS: {getattr(cause, 'verify_message', '') or cause.reason}"
    if isinstance(cause, socket.gaierror):
        # Its error numbers are not the system's either.
        return cause.strerror or _one_line(error)
    number = cause.errno if isinstance(cause, OSError) else _errno_in(str(error))
    if number and number in errno.errorcode:
        return os.strerror(number)
    return _one_line(error)


def _advice(error: Exception, address: object) -> str:
    if isinstance(error, InvalidResponse):
        return "check host and port in PUSH_QUEUE_REDIS_URL"
    cause = error.__context__
    if getattr(address, "tls", False) and not isinstance(cause, _DOWN):
        return (
            "check that it speaks TLS (else redis://), and that its authority is trusted or named "
            "by ssl_ca_certs in PUSH_QUEUE_REDIS_URL"
        )
    # So a server ends a connection that should begin with TLS.
    reset = isinstance(cause, ConnectionResetError)
    return f"{_START} (rediss:// if it speaks TLS)" if reset else _START


def _errno_in(message: str) -> int | None:
    """The number in redis-py's message; an error that is raised again has lost its cause."""
    found = re.match(r"Error (\d+) connecting to ", message)
    return int(found[1]) if found else None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rstrip(".")
