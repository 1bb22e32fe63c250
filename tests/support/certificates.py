"""Certificates of an authority of the tests' own, in docker's layout."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

SERVER_NAMES = ("127.0.0.1", "::1", "localhost", "registry.test", "auth.test")


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files that a server is started with."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """For a server in this process."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


class Authority:
    """A certificate authority with its files in `folder`; `certificate` is its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.certificate = folder / "ca.crt"
        self._authority.cert_pem.write_to_path(str(self.certificate))

    def server(self, names: Sequence[str] = SERVER_NAMES) -> ServerCertificate:
        """A certificate for a server under these names."""
        issued = self._authority.issue_cert(*names)
        found = ServerCertificate(self._folder / "server.crt", self._folder / "server.key")
        found.chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(found.key))
        return found

    def trust(self, certs_dir: Path, host: str) -> Path:
        """Put the authority where docker looks for it: `<certs_dir>/<host>/ca.crt`."""
        folder = certs_dir / host
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_bytes(self.certificate.read_bytes())
        return folder

    def identify(self, certs_dir: Path, host: str, name: str = "worker@example.com") -> None:
        """Put a client certificate where docker looks for it: `client.cert`, `client.key`."""
        issued = self._authority.issue_cert(name)
        folder = self.trust(certs_dir, host)
        issued.cert_chain_pems[0].write_to_path(str(folder / "client.cert"))
        issued.private_key_pem.write_to_path(str(folder / "client.key"))
