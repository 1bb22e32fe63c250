"""One blocking HTTP connection: where it may lead, TLS, proxies, redirects, time limits."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from yarl import URL

from ..exceptions import (
    SourceNotAllowedError,
    SourceUnavailableError,
    SourceUnreadableError,
    TLSError,
)
from ..http.named_hosts import joined
from ..http.proxy import Proxies
from ..http.tls import DOCKER_CERTS_DIR, TlsSettings, context_of
from .dialing import Address, Dialing
from .network_errors import explained
from .places import Network, Places, check_address, may_connect, networks_of, shown
from .tunnel import open_tunnel, proxy_authorization

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_DRAINED = 256 << 10
"""How many bytes to read to the end rather than drop the connection."""
_PIECE = 256 << 10
_STRIDE = 256 << 10
"""How many bytes must arrive within one time-out."""


@dataclass(frozen=True)
class HttpSettings:
    """How tars are read over HTTP.

    ``authorizations`` are values of that header by origin, ``https://host[:port]`` in lower case.
    """

    places: Places
    authorizations: Mapping[str, str] = field(default_factory=dict)
    stores: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Options of obstore, such as credentials, by ``s3://bucket``. The environment has the rest."""
    timeout: float = 60.0
    certs_dir: Path = DOCKER_CERTS_DIR
    insecure_hosts: Collection[str] = ()
    """As for registries, see ``RegistryClient``."""
    proxies: Proxies = field(default_factory=Proxies)


class HttpConnection:
    """Sends requests, one after the other, to one host as long as that is the same.

    All methods are for one thread, ``interrupt`` excepted.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._interrupted = False
        self._dialing: Dialing | None = None
        self._origin: URL | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
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
        with explained(self._url):
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
        with self._lock:
            self._interrupted = True
        if dialing := self._dialing:
            dialing.interrupt()
        self._shut()

    def close(self) -> None:
        if self._response:
            self._response.close()
        if self._connection:
            self._connection.close()
        with self._lock:
            if self._socket:
                self._socket.close()
            self._socket = None
        self._response = self._connection = None

    def _send(
        self, method: str, url: URL, headers: Mapping[str, str], networks: Collection[Network]
    ) -> http.client.HTTPResponse:
        self._end_answer()
        if self._connection and url.origin() == self._origin:
            try:
                return self._exchange(self._connection, method, url, headers)
            except SourceUnavailableError:
                """The server has closed it since the last answer."""
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
        with explained(url), self._limited():
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
            with explained(self._url), self._limited():
                while response.length and response.read1(_PIECE):
                    pass
        except SourceUnavailableError:
            self.close()
        finally:
            response.close()

    def _connect(self, url: URL, networks: Collection[Network]) -> http.client.HTTPConnection:
        self.close()
        proxy = self._settings.proxies.find(url)
        try:
            with explained(url):
                context = self._context(url)
                connection = self._dialled(url, networks, proxy)
                if context:
                    self._secure(connection, url, context, proxy)
                return connection
        except BaseException:
            self.close()
            raise

    def _dialled(
        self, url: URL, networks: Collection[Network], proxy: URL | None
    ) -> http.client.HTTPConnection:
        """A connection to the host, or to its proxy, which finds the address and decides."""
        if proxy:
            if proxy.scheme != "http":
                raise SourceUnreadableError(f"{shown(url)}: tars are read by http:// proxies only")
            with suppress(ValueError):
                check_address(url, url.raw_host or "", networks)
        to = proxy or url
        host, port = to.raw_host or "", to.port or 0
        connection = http.client.HTTPConnection(host, port, timeout=self._settings.timeout)
        with Dialing() as dialing:
            self._dialing = dialing
            if self._interrupted:
                dialing.interrupt()
            addresses = dialing.look_up(host, port)
            if not proxy:
                addresses = _allowed(url, addresses, networks)
            connection.sock = dialing.connect(addresses)
        connection.sock.settimeout(self._settings.timeout)
        self._hold(connection, url)
        return connection

    def _secure(
        self,
        connection: http.client.HTTPConnection,
        url: URL,
        context: ssl.SSLContext,
        proxy: URL | None,
    ) -> None:
        with self._limited():
            if proxy:
                open_tunnel(connection.sock, url, proxy_authorization(proxy))
            secure = context.wrap_socket(
                connection.sock,
                server_hostname=url.raw_host,
                do_handshake_on_connect=False,
                # What ends without TLS's own end was cut, and not by the server.
                suppress_ragged_eofs=False,
            )
            connection.sock = secure
            self._hold(connection, url)
            secure.do_handshake()

    def _hold(self, connection: http.client.HTTPConnection, url: URL) -> None:
        """From now on the connection can be interrupted."""
        self._connection, self._origin = connection, url.origin()
        with self._lock:
            self._socket = connection.sock
        if self._interrupted:
            self._shut()

    def _context(self, url: URL) -> ssl.SSLContext | None:
        if url.scheme == "http":
            return None
        try:
            tls = TlsSettings(self._settings.certs_dir, self._settings.insecure_hosts)
            host = url.host_port_subcomponent or ""
            return context_of(tls, host) or ssl.create_default_context()
        except TLSError as error:
            raise SourceUnreadableError(str(error)) from error

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """End what takes longer than the time-out, even if it drips."""
        over = threading.Event()

        def end() -> None:
            over.set()
            self._shut()

        timer = threading.Timer(self._settings.timeout, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, http.client.HTTPException):
            if over.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()

    def _shut(self) -> None:
        """Wake the thread that waits for the server."""
        with self._lock:
            if self._socket:
                with suppress(OSError):
                    # Not SSLSocket's own, which would have the other thread read plain bytes.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _redirected(url: URL, location: str) -> URL:
    try:
        target = joined(url, location).with_user(None)
    except ValueError:
        raise SourceUnreadableError(f"{shown(url)} redirects to what is no http(s) URL") from None
    if url.scheme == "https" and target.scheme == "http":
        raise SourceNotAllowedError(f"{shown(url)} redirects from https to http")
    return target


def _allowed(
    url: URL, found: Sequence[Address], networks: Collection[Network]
) -> Sequence[Address]:
    """Those that a socket may be connected to. What is looked at here is what is connected to, so
    that a name which resolves to another address a moment later gains nothing.
    """
    addresses = [one for one in found if may_connect(str(one.place[0]), networks)]
    if found and not addresses:
        check_address(url, str(found[0].place[0]), networks)
    return addresses
