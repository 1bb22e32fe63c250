"""TLS for each registry: its certificate authority, and the certificate that we show it.

The folder has docker's layout: ``<host[:port]>/`` holds certificate authorities as ``*.crt`` and
client certificates as ``*.cert`` with a ``*.key`` of the same name, all PEM.
Source: https://docs.docker.com/engine/security/certificates/
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..exceptions import TLSError, ValidationError

DOCKER_CERTS_DIR = Path("/etc/docker/certs.d")
_LOOK_SECONDS = 60.0
"""Between two looks for renewed certificates."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Where certificates are, and ``host[:port]`` of those whose certificate is not checked."""

    certs_dir: Path = DOCKER_CERTS_DIR
    insecure_hosts: Collection[str] = ()

    def is_set_up(self, host: str) -> bool:
        """Whether anything is said of this host, which then speaks TLS."""
        return host in self.insecure_hosts or (self.certs_dir / host).is_dir()


@dataclass(frozen=True, slots=True)
class _Known:
    """A host's context, the versions of the files in it, and when (monotonic) to look again."""

    files: list[tuple[str, int, int]]
    context: ssl.SSLContext | None
    look_again: float


class TlsContexts:
    """One context for each host that has settings of its own, renewed when its files are.

    Raises:
        ValidationError: the folder, if it is another than docker's, is not there.
    """

    def __init__(self, settings: TlsSettings) -> None:
        if settings.certs_dir != DOCKER_CERTS_DIR and not settings.certs_dir.is_dir():
            raise ValidationError(f"{settings.certs_dir} is no folder with certificates")
        self._settings = settings
        self._known: dict[str, _Known] = {}

    async def context(self, host: str, registry: str) -> ssl.SSLContext | None:
        """The context for a host that belongs to a registry; None is the system's.

        A host without a folder of its own, a token server for instance, has its registry's. That a
        certificate is not checked is said for each host itself.

        Raises:
            TLSError: a certificate or key cannot be read.
        """
        own = await self._context(host)
        if own or host == registry or registry in self._settings.insecure_hosts:
            return own
        return await self._context(registry)

    async def _context(self, host: str) -> ssl.SSLContext | None:
        known = self._known.get(host)
        if not known or known.look_again <= time.monotonic():
            known = self._known[host] = await asyncio.to_thread(self._look, host, known)
        return known.context

    def _look(self, host: str, known: _Known | None) -> _Known:
        """What is there now; the context stays the same, with its connections, if the files do."""
        files = _versions(self._settings.certs_dir / host)
        look_again = time.monotonic() + _LOOK_SECONDS
        if known and files == known.files:
            return replace(known, look_again=look_again)
        try:
            return _Known(files, self._build(host), look_again)
        except TLSError:
            if not known:
                raise
            # A certificate may be there already and its key not yet.
            return replace(known, look_again=look_again)

    def _build(self, host: str) -> ssl.SSLContext | None:
        if not self._settings.is_set_up(host):
            return None
        folder = self._settings.certs_dir / host
        context = ssl.create_default_context()
        for authority in sorted(folder.glob("*.crt")):
            _load(host, authority, context.load_verify_locations)
        for certificate in sorted(folder.glob("*.cert")):
            key = certificate.with_suffix(".key")
            if not key.is_file():
                raise TLSError(f"{host}: {certificate} has no key {key}")
            # An empty password, or OpenSSL would ask for that of an encrypted key on the terminal.
            _load(host, certificate, partial(context.load_cert_chain, keyfile=key, password=""))
        if host in self._settings.insecure_hosts:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _versions(folder: Path) -> list[tuple[str, int, int]]:
    """Name, time and size of each file in a folder; nothing where there is none."""
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return []
    return [(name, status.st_mtime_ns, status.st_size) for name, status in found]


def _load(host: str, path: Path, load: Callable[[Path], object]) -> None:
    try:
        load(path)
    except OSError as error:  # ssl.SSLError is one
        reason = "is no certificate in PEM, or its key is another or encrypted"
        if not isinstance(error, ssl.SSLError):
            reason = f"cannot be read: {error.strerror}"
        raise TLSError(f"{host}: {path} {reason}") from error
