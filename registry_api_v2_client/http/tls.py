"""TLS for each registry: the authorities to trust, and the client certificate to show.

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
from ..parameter_names import NameOf

DOCKER_CERTS_DIR = Path("/etc/docker/certs.d")
_LOOK_SECONDS = 60.0
"""How often to look for renewed certificates."""


def place_of_certificates(name_of: NameOf) -> str:
    """Where errors say that certificates belong."""
    return f"below {name_of('certs_dir')}, by default {DOCKER_CERTS_DIR}"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The folder of certificates, and ``host[:port]`` whose certificate is not checked.

    Errors call parameters as ``name_of`` does.
    """

    certs_dir: Path = DOCKER_CERTS_DIR
    insecure_hosts: Collection[str] = ()
    name_of: NameOf = str

    def is_set_up(self, host: str) -> bool:
        """Whether there are settings for this host; then it speaks TLS."""
        return host in self.insecure_hosts or (self.certs_dir / host).is_dir()


@dataclass(frozen=True, slots=True)
class _Known:
    """A host's context, the files that it is made of, and when (monotonic) to look again."""

    files: list[tuple[str, int, int]]
    context: ssl.SSLContext | None
    look_again: float


class TlsContexts:
    """One context for each host that has settings of its own. Changed files are loaded again.

    Raises:
        ValidationError: the folder does not exist and is not docker's default.
    """

    def __init__(self, settings: TlsSettings) -> None:
        if settings.certs_dir != DOCKER_CERTS_DIR and not settings.certs_dir.is_dir():
            raise ValidationError(
                f"{settings.certs_dir} is not a folder; set {settings.name_of('certs_dir')} to the "
                "one that holds the certificates"
            )
        self._settings = settings
        self._known: dict[str, _Known] = {}

    async def context(self, host: str, registry: str) -> ssl.SSLContext | None:
        """The context for a host that a registry uses; None means the system's.

        A host without a folder of its own, such as a token server, uses that of its registry. But a
        certificate goes unchecked only at hosts that the settings name themselves.

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
        """Look at the files now. Unchanged ones keep their context, and so their connections."""
        files = _versions(self._settings.certs_dir / host)
        look_again = time.monotonic() + _LOOK_SECONDS
        if known and files == known.files:
            return replace(known, look_again=look_again)
        try:
            return _Known(files, context_of(self._settings, host), look_again)
        except TLSError:
            if not known:
                raise
            # A new certificate may be there before its key.
            return replace(known, look_again=look_again)


def context_of(settings: TlsSettings, host: str) -> ssl.SSLContext | None:
    """The context for a host with settings of its own. Blocking.

    Raises:
        TLSError: a certificate or key cannot be read.
    """
    if not settings.is_set_up(host):
        return None
    folder = settings.certs_dir / host
    context = ssl.create_default_context()
    for authority in sorted(folder.glob("*.crt")):
        _load(host, authority, context.load_verify_locations)
    for certificate in sorted(folder.glob("*.cert")):
        key = certificate.with_suffix(".key")
        if not key.is_file():
            raise TLSError(f"{host}: {certificate} has no key {key}")
        # Without a password, OpenSSL would ask for one on the terminal if the key is encrypted.
        _load(host, certificate, partial(context.load_cert_chain, keyfile=key, password=""))
    if host in settings.insecure_hosts:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _versions(folder: Path) -> list[tuple[str, int, int]]:
    """Name, time and size of each file in a folder; empty if there is no folder."""
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return []
    return [(name, status.st_mtime_ns, status.st_size) for name, status in found]


def _load(host: str, path: Path, load: Callable[[Path], object]) -> None:
    try:
        load(path)
    except OSError as error:  # ssl.SSLError is one
        reason = "is not a PEM certificate, or its key is encrypted or belongs to another one"
        if not isinstance(error, ssl.SSLError):
            reason = f"cannot be read: {error.strerror}"
        raise TLSError(f"{host}: {path} {reason}") from error
