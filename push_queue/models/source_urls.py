"""URLs as sources of jobs, and which of them workers may read."""

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import unquote

from pydantic import AfterValidator

if TYPE_CHECKING:
    from yarl import URL

SCHEMES = ("https", "http", "s3", "gs", "az")
_STORES = SCHEMES[2:]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PRINTABLE = re.compile(r"[!-~]+")
_PASSWORD = re.compile(r"(?<=://)[^/]*@")
_HOST = re.compile(
    r"(\*\.)?([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|[0-9a-f.:]*:[0-9a-f.:]*", re.IGNORECASE
)
_ANY_BELOW = "*."
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def is_url(source: str) -> bool:
    """Whether the source of a job is a URL, valid or not."""
    return bool(_SCHEME.match(source))


def shown(source: str) -> str:
    """The source without a URL's query, which may carry a signature, and without a password."""
    if not is_url(source):
        return source
    return _PASSWORD.sub("", source.partition("?")[0], count=1)


def parse_source_url(text: str) -> "URL":
    """The URL, byte for byte: its query may be signed.

    Raises:
        ValueError: it is none that a tar can be read from; the message says why, and shows neither
            user nor query.
    """
    url = _parsed(text)
    if url.scheme not in SCHEMES:
        raise ValueError(f"must be a path or a URL that begins with {_listed(SCHEMES)}")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(
            "must not hold a user or password, which everybody who may read jobs would see; give "
            "the workers a login in PUSH_QUEUE_SOURCE_AUTH"
        )
    if url.raw_fragment or text.endswith("#"):
        raise ValueError("must not have a fragment (#…)")
    if url.scheme in _STORES and (url.explicit_port or url.raw_query_string):
        raise ValueError("must be a bucket and a key, without port and query")
    if url.raw_path in ("", "/"):
        raise ValueError("must name a tar, not just a host")
    return url


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The URLs below one URL."""

    scheme: str
    host: str
    port: int | None
    path: str

    @classmethod
    def of(cls, text: str) -> Self:
        url = _parsed(text)
        if url.scheme not in SCHEMES:
            raise ValueError(f"a URL in it does not begin with {_listed(SCHEMES)}")
        if url.raw_user is not None or url.raw_query_string or url.raw_fragment:
            raise ValueError("a URL in it has a user, a query or a fragment")
        return cls(url.scheme, _host(url), url.port, url.raw_path)

    def covers(self, url: "URL") -> bool:
        if (url.scheme, url.port) != (self.scheme, self.port):
            return False
        host = _host(url)
        if self.host.startswith(_ANY_BELOW):
            if not host.endswith(self.host[1:]):
                return False
        elif host != self.host:
            return False
        folder = self.path if self.path.endswith("/") else f"{self.path}/"
        return url.raw_path == self.path or url.raw_path.startswith(folder)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The address that the host is, if it is one."""
        if self.host == "localhost":
            return _LOOPBACK
        try:
            return (ipaddress.ip_network(self.host),)
        except ValueError:
            return ()


class SourceUrls:
    """What ``PUSH_QUEUE_SOURCE_URLS`` allows: URLs below its URLs.

    A host in it may lead to public addresses, to an address that it is itself, and into the
    networks that are listed beside the URLs.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        parsed = [_entry(text) for text in entries]
        self._prefixes = [entry for entry in parsed if isinstance(entry, _Prefix)]
        self._networks = tuple(entry for entry in parsed if not isinstance(entry, _Prefix))

    def networks(self, url: "URL") -> Collection[Network]:
        """The networks that the URL may lead into, besides public addresses.

        Raises:
            ValueError: it may not be read; the message says why.
        """
        if not self._prefixes:
            raise ValueError("no URL may be read; set PUSH_QUEUE_SOURCE_URLS where the push runs")
        if _goes_up(url.raw_path):
            raise ValueError("has .. in its path")
        covering = [prefix for prefix in self._prefixes if prefix.covers(url)]
        if not covering:
            raise ValueError("is not below a URL of PUSH_QUEUE_SOURCE_URLS, where workers read")
        return (*self._networks, *(network for one in covering for network in one.networks))


def check_entry(text: str) -> str:
    """The entry of ``PUSH_QUEUE_SOURCE_URLS`` unchanged.

    Raises:
        ValueError: it is neither a URL nor a network.
    """
    _entry(text)
    return text


SourceUrlEntry = Annotated[str, AfterValidator(check_entry)]


def check_origin(text: str) -> str:
    """``https://host[:port]`` in the one spelling that it has.

    Raises:
        ValueError: it is something else.
    """
    url = _parsed(text)
    if url.scheme not in SCHEMES[:2] or url.raw_path not in ("", "/") or url.raw_query_string:
        raise ValueError("a login is for https://host or https://host:port")
    return str(url.origin()).lower()


Origin = Annotated[str, AfterValidator(check_origin)]


def check_bucket(text: str) -> str:
    """``s3://bucket``, or one of another store, unchanged.

    Raises:
        ValueError: it is something else.
    """
    url = _parsed(text)
    if url.scheme not in _STORES or text != f"{url.scheme}://{url.raw_host}":
        raise ValueError("credentials are for s3://bucket, gs://bucket or az://container")
    return text


Bucket = Annotated[str, AfterValidator(check_bucket)]


def _entry(text: str) -> _Prefix | Network:
    if is_url(text):
        return _Prefix.of(text)
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            "each part has to be a URL such as https://artifacts.example.com/builds/, or a "
            "network such as 10.1.0.0/16"
        ) from None


def _parsed(text: str) -> "URL":
    if not _PRINTABLE.fullmatch(text) or "\\" in text:
        raise ValueError("has characters that have to be escaped in a URL")
    from yarl import URL  # most jobs name no URL, and it takes a while

    try:
        url = URL(text, encoded=True)
        host, _ = url.raw_host or "", url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if not _HOST.fullmatch(host):
        raise ValueError("is a URL without a host, or with one that makes no sense")
    return url


def _host(url: "URL") -> str:
    return (url.raw_host or "").lower().rstrip(".")


def _goes_up(path: str) -> bool:
    """Whether some server may read a ``..`` out of the path, however often it is escaped."""
    while (plain := unquote(path)) != path:
        path = plain
    return ".." in re.split(r"[/\\;]", path)


def _listed(schemes: Collection[str]) -> str:
    return ", ".join(f"{scheme}://" for scheme in schemes)
