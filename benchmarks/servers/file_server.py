"""A server of files, as artifact servers are: by ranges, with an ETag. Also a program: it is one.

python -m benchmarks.servers.file_server FOLDER PORT [CERTIFICATE KEY]
"""

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from ..programs import POLL_SECONDS
from .process import free_port, keep_waiting, server

NAME = "benchmarks.servers.file_server"


@contextmanager
def file_server(folder: Path, *certificate: Path) -> Iterator[str]:
    """Serve the files in ``folder``; ``host:port``. With a certificate and its key, over TLS.

    Raises:
        ContenderError: it does not start.
    """
    port, log = free_port(), folder / "file-server.log"
    argv: list[str | Path] = [sys.executable, "-m", NAME, folder, str(port), *certificate]
    with server(argv, log) as process:
        since = time.monotonic()
        while not _listens(port):
            keep_waiting(process, log, since)
            time.sleep(POLL_SECONDS)
        yield f"127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def main(folder: str, port: str, *certificate: str) -> None:
    application = web.Application()
    application.router.add_static("/", folder)
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*certificate)
    web.run_app(
        application, host="127.0.0.1", port=int(port), ssl_context=tls, print=None, access_log=None
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
