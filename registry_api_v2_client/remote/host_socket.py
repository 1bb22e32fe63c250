"""The socket to a host: where it may lead, by which proxy, TLS. Another thread can shut it."""

import http.client
import socket
import ssl
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from yarl import URL

from ..exceptions import SourceUnreadableError, TLSError
from ..http.tls import TlsSettings, context_of
from .dialing import Address, Dialing
from .http_settings import HttpSettings
from .places import Network, check_address, may_connect, shown
from .tunnel import open_tunnel, proxy_authorization


class HostSocket:
    """One socket after the other. All methods are for one thread, ``interrupt`` excepted."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._interrupted = False
        self._dialing: Dialing | None = None
        self._socket: socket.socket | None = None

    def open(self, url: URL, networks: Collection[Network]) -> socket.socket:
        """A new one, to the host of the URL or to its proxy. The one before is closed.

        Raises:
            SourceNotAllowedError: the host is at no address that is allowed.
            SourceUnreadableError: its certificates cannot be read, or the proxy is no http:// one.
            OSError, http.client.HTTPException, UnicodeError: no connection.
        """
        self.close()
        proxy = self._settings.proxies.find(url)
        try:
            context = self._context(url)
            opened = self._dialled(url, networks, proxy)
            return self._secured(opened, url, context, proxy) if context else opened
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Make all other methods fail from now on. Thread-safe."""
        with self._lock:
            self._interrupted = True
        if dialing := self._dialing:
            dialing.interrupt()
        self._shut()

    def close(self) -> None:
        with self._lock:
            if self._socket:
                self._socket.close()
            self._socket = None

    @contextmanager
    def limited(self) -> Iterator[None]:
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

    def _dialled(self, url: URL, networks: Collection[Network], proxy: URL | None) -> socket.socket:
        """Connected to the host, or to its proxy, which finds the address and decides."""
        if proxy:
            if proxy.scheme != "http":
                raise SourceUnreadableError(f"{shown(url)}: tars are read by http:// proxies only")
            with suppress(ValueError):
                check_address(url, url.raw_host or "", networks)
        to = proxy or url
        with Dialing() as dialing:
            self._dialing = dialing
            if self._interrupted:
                dialing.interrupt()
            addresses = dialing.look_up(to.raw_host or "", to.port or 0)
            if not proxy:
                addresses = _allowed(url, addresses, networks)
            dialled = dialing.connect(addresses)
        dialled.settimeout(self._settings.timeout)
        self._hold(dialled)
        return dialled

    def _secured(
        self, plain: socket.socket, url: URL, context: ssl.SSLContext, proxy: URL | None
    ) -> ssl.SSLSocket:
        with self.limited():
            if proxy:
                open_tunnel(plain, url, proxy_authorization(proxy))
            secure = context.wrap_socket(
                plain,
                server_hostname=url.raw_host,
                do_handshake_on_connect=False,
                # What ends without TLS's own end was cut, and not by the server.
                suppress_ragged_eofs=False,
            )
            self._hold(secure)
            secure.do_handshake()
            return secure

    def _hold(self, held: socket.socket) -> None:
        """From now on it can be interrupted."""
        with self._lock:
            self._socket = held
        if self._interrupted:
            self._shut()

    def _context(self, url: URL) -> ssl.SSLContext | None:
        if url.scheme == "http":
            return None
        try:
            tls = TlsSettings(self._settings.certs_dir, self._settings.insecure_hosts)
            host = url.host_port_subcomponent or ""
            context = context_of(tls, host) or ssl.create_default_context()
        except TLSError as error:
            raise SourceUnreadableError(str(error)) from error
        # Debian 12 sets it, and then OpenSSL takes a cut for TLS's own end.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        return context

    def _shut(self) -> None:
        """Wake the thread that waits for the host."""
        with self._lock:
            if self._socket:
                with suppress(OSError):
                    # Not SSLSocket's own, which would have the other thread read plain bytes.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


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
