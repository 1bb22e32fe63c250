"""A server that says over TLS what it was told to, and ends with or without TLS's own end.

with TlsServer(context, b"HTTP/1.1 200 OK\\r\\n\\r\\nhalf", closes=False) as server:
    ...
"""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Self


class TlsServer:
    """Listens on a free port of the loopback, on a thread of its own.

    Each connection gets `answer` to its first request. With `closes` an alert says that it ends.
    """

    def __init__(self, context: ssl.SSLContext, answer: bytes, *, closes: bool) -> None:
        self._context = context
        self._answer = answer
        self._closes = closes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"https://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            # The other side may have seen enough.
            with plain, suppress(OSError):
                self._talk(plain)

    def _talk(self, plain: socket.socket) -> None:
        with self._context.wrap_socket(plain, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(self._answer)
            if self._closes:
                secure.unwrap()
