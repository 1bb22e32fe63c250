"""An object at a URL: what the answers of its server say, and which of them are errors."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http.client import HTTPResponse

from yarl import URL

from ..exceptions import (
    RegistryError,
    SourceChangedError,
    SourceMissingError,
    SourceUnavailableError,
    SourceUnreadableError,
)
from ..parameter_names import NameOf
from ..retry_after import parse_retry_after
from .http_connection import HttpConnection
from .http_settings import HttpSettings
from .ranges import ObjectIdentity

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_NO_LONGER_THERE = (401, 403, 404, 410)
_GONE = (404, 410)
_REFUSED = (401, 403, 407)
_TRY_AGAIN = (408, 425, 429)
_LONGEST_PAUSE = 3600.0
LARGEST = 1 << 40
"""The most bytes of a tar. A server may claim any number, and send for ever."""


class NoRangesError(SourceUnreadableError):
    """The server answers no ranges, answers them wrongly, or does not tell versions apart."""


@dataclass(frozen=True, slots=True)
class HttpObject:
    """An object of which ranges can be asked for."""

    settings: HttpSettings
    name: str
    locate: Callable[[], URL]
    """Where to ask for it again."""
    found_at: URL
    """Where it is now: a link that was signed, or what the server has redirected to."""
    identity: ObjectIdentity
    condition: Mapping[str, str] = field(default_factory=dict)
    """Headers that have the server answer only as long as the object is the same."""

    @classmethod
    def find(
        cls,
        connection: HttpConnection,
        settings: HttpSettings,
        name: str,
        locate: Callable[[], URL],
    ) -> "HttpObject":
        """Ask for the second byte: a server that ignores ranges sends the first.

        Raises:
            NoRangesError: it can be read from its start to its end, and in no other way.
            SourceUnreadableError, SourceUnavailableError: it cannot be read.
        """
        found_at, response = connection.get(locate(), {"Range": "bytes=1-1"})
        if response.status == 416:
            raise SourceUnreadableError(f"{name} is empty")
        _check(response, name, (200, 206), settings.name_of)
        place = _range(response) if response.status == 206 else None
        version = _version(response)
        if not place or place[:2] != (1, 2) or not version:
            raise NoRangesError(f"{name}: its server cannot answer for parts of it")
        if place[2] > LARGEST:
            raise SourceUnreadableError(
                f"{name} claims {place[2]} bytes; at most {LARGEST} make sense"
            )
        identity = ObjectIdentity(place[2], version)
        return cls(settings, name, locate, found_at, identity, _condition(response))

    def ranges(self) -> "HttpRanges":
        return HttpRanges(self, HttpConnection(self.settings))


class HttpRanges:
    """Ranges of an object, over a connection of its own."""

    def __init__(self, found: HttpObject, connection: HttpConnection) -> None:
        self._object = found
        self._connection = connection
        self._url = found.found_at
        self.readinto = connection.readinto
        self.interrupt = connection.interrupt
        self.close = connection.close

    def ask(self, start: int, stop: int) -> int:
        found, name = self._object, self._object.name
        headers = {"Range": f"bytes={start}-{stop - 1}", **found.condition}
        _, response = self._connection.get(self._url, headers)
        if response.status in _NO_LONGER_THERE:
            # A link that is signed holds for a while only.
            self._url, response = self._connection.get(found.locate(), headers)
        if response.status in (412, 416):
            raise _changed(name)
        _check(response, name, (200, 206), found.settings.name_of)
        if response.status == 200:
            raise SourceUnreadableError(f"{name}: its server answers for parts of it no more")
        place = _range(response)
        if not place or place[0] != start or not start < place[1] <= stop:
            raise SourceUnreadableError(f"{name}: its server sends other parts than it was asked")
        if ObjectIdentity(place[2], _version(response) or "") != found.identity:
            raise _changed(name)
        return place[1]


def open_whole(
    connection: HttpConnection, settings: HttpSettings, name: str, url: URL
) -> tuple[int | None, str]:
    """Begin to read an object from its start. Returns its size, and its version.

    Raises:
        SourceUnreadableError, SourceUnavailableError: it cannot be read.
    """
    _, response = connection.get(url, {})
    _check(response, name, (200,), settings.name_of)
    return response.length, _version(response) or ""


def _range(response: HTTPResponse) -> tuple[int, int, int] | None:
    """Start, stop and size, if they make sense."""
    found = _CONTENT_RANGE.fullmatch(response.getheader("Content-Range", ""))
    if not found:
        return None
    start, last, size = map(int, found.groups())
    fits = start <= last < size and response.length in (None, last + 1 - start)
    return (start, last + 1, size) if fits else None


def _version(response: HTTPResponse) -> str | None:
    return response.getheader("ETag") or response.getheader("Last-Modified")


def _condition(response: HTTPResponse) -> dict[str, str]:
    """Source: https://www.rfc-editor.org/rfc/rfc9110#section-13.1"""
    tag, moment = response.getheader("ETag"), response.getheader("Last-Modified")
    if tag and tag.startswith('"'):
        return {"If-Match": tag}
    return {"If-Unmodified-Since": moment} if moment else {}


def _check(response: HTTPResponse, name: str, ok: Collection[int], name_of: NameOf) -> None:
    status = response.status
    if status in ok:
        return
    error: RegistryError
    if status in _GONE:
        error = SourceMissingError(f"{name} does not exist: {status}")
    elif status in _REFUSED:
        error = SourceUnreadableError(
            f"{name} may not be read: {status}; give a login for it in "
            f"{name_of('authorizations')}, or sign its URL for longer"
        )
    elif status >= 500 or status in _TRY_AGAIN:
        error = SourceUnavailableError(f"{name}: its server answered {status}")
        error.retry_after = parse_retry_after(response.getheader("Retry-After"), _LONGEST_PAUSE)
    else:
        error = SourceUnreadableError(f"{name} cannot be read: its server answered {status}")
    raise error


def _changed(name: str) -> SourceChangedError:
    return SourceChangedError(f"{name} was changed while it was read; push it again")
