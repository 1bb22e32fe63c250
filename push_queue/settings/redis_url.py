"""The address of a Redis server, read from a URL."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})

SENTINEL_PORT = 26379
SENTINEL_SCHEME = "redis+sentinel"

# Newer Pythons' urlsplit refuses a [::1] that is not the only host.
_SENTINELS = re.compile(
    r"(?i:redis\+sentinel)://(?P<netloc>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis server listens. ``str()`` and ``repr()`` never show the password."""

    host: str = "localhost"
    port: int = 6379
    socket_path: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    tls_options: tuple[tuple[str, str], ...] = ()
    sentinels: tuple[tuple[str, int], ...] = ()
    """Where the sentinels are that know the primary, if there are any."""
    sentinel_master: str = ""

    def __str__(self) -> str:
        if self.sentinel_master:
            return f"the primary of {self.sentinel_master}"
        if self.socket_path:
            return self.socket_path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_redis_url(url: str) -> RedisAddress:
    """Read ``redis://``, ``rediss://``, ``unix://`` and ``redis+sentinel://`` URLs.

    Every part is percent-decoded. The database is the path (``redis://host/1``) or ``?db=1``;
    ``rediss://`` also takes ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` and
    ``ssl_check_hostname`` as query. Sentinels are given with the service that they monitor:
    ``redis+sentinel://:password@host1:26379,host2:26379/mymaster/0``.

    Raises:
        ValueError: the URL cannot be used; the message does not repeat it.
    """
    parts = _split(url.strip())  # A secret that was made with `echo` ends with a newline.
    if parts.scheme not in _READERS:
        raise ValueError(
            "the URL must start with redis://, rediss://, redis+sentinel:// or unix://"
        )
    return _READERS[parts.scheme](parts)


def _split(url: str) -> SplitResult:
    if sentinels := _SENTINELS.fullmatch(url):
        return SplitResult(SENTINEL_SCHEME, **sentinels.groupdict(""), fragment="")
    try:
        return urlsplit(url)
    except ValueError:
        # Its message may hold parts of the password.
        raise ValueError(
            "the URL cannot be parsed; percent-encode user and password, [ as %5B"
        ) from None


def _server_address(parts: SplitResult) -> RedisAddress:
    return _address(parts, parts.path.strip("/"))


def _tls_address(parts: SplitResult) -> RedisAddress:
    return _address(parts, parts.path.strip("/"), TLS_OPTIONS, tls=True)


def _socket_address(parts: SplitResult) -> RedisAddress:
    if not parts.path:
        raise ValueError("a unix:// URL needs the path of a socket, such as unix:///run/redis.sock")
    return _address(parts, "", socket_path=unquote(parts.path))


def _address(
    parts: SplitResult,
    database: str,
    options: frozenset[str] = frozenset(),
    *,
    tls: bool = False,
    socket_path: str | None = None,
) -> RedisAddress:
    """``database`` comes from the path; the query may give it instead, and these ``options``."""
    query = dict(parse_qsl(parts.query))
    database = query.pop("db", database)
    if unknown := sorted(query.keys() - options):
        known = ", ".join(sorted({"db", *options}))
        raise ValueError(f"unknown option {unknown[0]!r} in the URL; it may have {known}")
    return RedisAddress(
        host=unquote(parts.hostname or "localhost"),
        port=_port(parts),
        socket_path=socket_path,
        database=_database(unquote(database)),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
        tls_options=tuple(sorted(query.items())),
    )


def _sentinel_address(parts: SplitResult) -> RedisAddress:
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    master, _, database = parts.path.strip("/").partition("/")
    if not all(hosts.split(",")) or not master:
        raise ValueError(
            "a redis+sentinel:// URL names hosts and service: redis+sentinel://host:26379/mymaster"
        )
    if parts.query:
        raise ValueError("a redis+sentinel:// URL takes no options")
    return RedisAddress(
        sentinels=tuple(_sentinel(host) for host in hosts.split(",")),
        sentinel_master=unquote(master),
        database=_database(database),
        username=unquote(username) or None,
        password=unquote(password) or None,
    )


def _sentinel(host: str) -> tuple[str, int]:
    parts = _split(f"//{host}")
    return unquote(parts.hostname or ""), _port(parts, SENTINEL_PORT)


def _port(parts: SplitResult, default: int = 6379) -> int:
    try:
        return parts.port or default
    except ValueError:
        # A password with one of these ends the host before it has begun.
        raise ValueError(
            "the port in the URL must be a number from 1 to 65535; "
            "percent-encode / ? # in a password"
        ) from None


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("the database in the URL must be a number, such as /0")
    return int(text)


_READERS: dict[str, Callable[[SplitResult], RedisAddress]] = {
    "redis": _server_address,
    "rediss": _tls_address,
    "unix": _socket_address,
    SENTINEL_SCHEME: _sentinel_address,
}
