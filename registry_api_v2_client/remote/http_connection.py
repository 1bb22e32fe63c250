"""One blocking HTTP connection: its requests and answers, redirects, time limits."""

import http.client
import time
from collections.abc import Collection, Mapping

from yarl import URL

from ..exceptions import SourceNotAllowedError, SourceUnavailableError, SourceUnreadableError
from ..http.named_hosts import joined
from .host_socket import HostSocket
from .http_settings import HttpSettings
from .network_errors import explained
from .places import Network, networks_of, shown
from .tunnel import proxy_authorization

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_DRAINED = 256 << 10
"""How many bytes to read to the end rather than drop the connection."""
_PIECE = 256 << 10
_STRIDE = 256 << 10
"""How many bytes must arrive within one time-out."""


class HttpConnection:
    """Sends requests, one after the other, to one host as long as that is the same.

    All methods are for one thread, ``interrupt`` excepted.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._socket = HostSocket(settings)
        self._origin: URL | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._url = URL()
        self._waited = 0.0
        self._moved = 0

    def get(self, url: URL, headers: Mapping[str, str]) -> tuple[URL, http.client.HTTPResponse]:
        """The answer, and where it came from; redirects are followed.

        Raises:
            SourceNotAllowedError: a URL may not be read, or leads to an address that is not
                allowed.
            SourceUnreadableError: a certificate is not trusted, or the redirects are invalid.
            SourceUnavailableError: no answer.
        """
        named_by = None
        for _ in range(_MOST_REDIRECTS + 1):
            networks = networks_of(self._settings.places, url, named_by=named_by)
            response = self._send("GET", url, headers, networks)
            location = response.getheader("Location")
            if response.status not in _REDIRECTS or not location:
                return url, response
            named_by, url = url, _redirected(url, location)
        raise SourceUnreadableError(f"{shown(url)}: more than {_MOST_REDIRECTS} redirects")

    def delete(self, url: URL) -> int:
        """Ask for the object to be deleted. Returns the status; no redirect is followed.

        Raises:
            SourceNotAllowedError, SourceUnreadableError, SourceUnavailableError: as ``get``.
        """
        return self._send("DELETE", url, {}, networks_of(self._settings.places, url)).status

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes of the last answer's body; none at its end, or where it breaks off.

        Raises:
            SourceUnavailableError: the connection broke, or too little comes.
        """
        if self._response is None:
            return 0
        began = time.monotonic()
        with explained(self._url, self._settings.name_of):
            content = self._response.read1(min(len(buffer), _PIECE))
            self._waited += time.monotonic() - began
            self._moved += len(content)
            if self._moved >= _STRIDE:
                self._waited = self._moved = 0
            elif self._waited > self._settings.timeout:
                raise TimeoutError
        buffer[: len(content)] = content
        return len(content)

    def interrupt(self) -> None:
        """Make all other methods fail from now on. Thread-safe."""
        self._socket.interrupt()

    def close(self) -> None:
        if self._response:
            self._response.close()
        if self._connection:
            self._connection.close()
        self._socket.close()
        self._response = self._connection = None

    def _send(
        self, method: str, url: URL, headers: Mapping[str, str], networks: Collection[Network]
    ) -> http.client.HTTPResponse:
        self._end_answer()
        if self._connection and url.origin() == self._origin:
            try:
                return self._exchange(self._connection, method, url, headers)
            except SourceUnavailableError:
                pass  # The server has closed it since the last answer.
        return self._exchange(self._connect(url, networks), method, url, headers)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        url: URL,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        target = url.raw_path_qs
        own = {
            "Host": url.host_port_subcomponent or "",
            "User-Agent": "registry-push-queue",
            "Accept-Encoding": "identity",
        }
        if authorization := self._settings.authorizations.get(str(url.origin()).lower()):
            own["Authorization"] = authorization
        if url.scheme == "http" and (proxy := self._settings.proxies.find(url)):
            target = str(url)
            own |= proxy_authorization(proxy)
        self._url, self._waited, self._moved = url, 0.0, 0
        with explained(url, self._settings.name_of), self._socket.limited():
            connection.request(method, target, headers={**own, **headers})
            self._response = connection.getresponse()
        return self._response

    def _end_answer(self) -> None:
        """Make the connection ready for the next request, or close it."""
        response, self._response = self._response, None
        if response is None:
            return
        left = response.length
        if left is None or left > _DRAINED or response.will_close:
            # It holds the socket open, too.
            response.close()
            self.close()
            return
        try:
            with explained(self._url, self._settings.name_of), self._socket.limited():
                while response.length and response.read1(_PIECE):
                    pass
        except SourceUnavailableError:
            self.close()
        finally:
            response.close()

    def _connect(self, url: URL, networks: Collection[Network]) -> http.client.HTTPConnection:
        self.close()
        with explained(url, self._settings.name_of):
            connection = http.client.HTTPConnection(url.raw_host or "", url.port)
            connection.sock = self._socket.open(url, networks)
        self._connection, self._origin = connection, url.origin()
        return connection


def _redirected(url: URL, location: str) -> URL:
    try:
        target = joined(url, location).with_user(None)
    except ValueError:
        raise SourceUnreadableError(f"{shown(url)} redirects to what is no http(s) URL") from None
    if url.scheme == "https" and target.scheme == "http":
        raise SourceNotAllowedError(f"{shown(url)} redirects from https to http")
    return target
