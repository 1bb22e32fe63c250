"""An address that answers nothing to those who connect, as behind a firewall that drops packets."""

import socket
from contextlib import ExitStack
from typing import Self


class BlackHole:
    """A port of the loopback. Its queue is full, and nobody takes connections out of it."""

    def __enter__(self) -> Self:
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.socket())
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.place = ("127.0.0.1", self.port)
        self.host = f"127.0.0.1:{self.port}"
        self._open.enter_context(socket.create_connection(self.place))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
