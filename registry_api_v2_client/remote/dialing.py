"""Finds a host and connects to it. Blocking, but another thread can end it at any time."""

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any, NamedTuple, Self

_SECONDS = 10.0
"""For the look-up, and again for all addresses together."""
_HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it."""
_MOST_ADDRESSES = 8

_NOT_FOUND = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


class Address(NamedTuple):
    """Where a socket of this kind can be connected to."""

    family: int
    kind: int
    protocol: int
    place: Any
    """What the system calls it: the address first."""


class Dialing:
    """The search for a connection. Use as a context manager, on one thread.

    All methods raise OSError: ConnectionAbortedError once it is interrupted.
    """

    def __init__(self) -> None:
        self._woken, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._interrupted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._woken.close()
            self._waker.close()

    def interrupt(self) -> None:
        """Thread-safe."""
        self._interrupted = True
        self._wake()

    def look_up(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of a host, as the system prefers them, its families by turns.

        Raises:
            UnicodeError: it is no name that could be looked up.
        """
        outcome: list[Any] = []

        def ask() -> None:
            # Nothing ends this call. So it has a thread that nobody waits for.
            try:
                outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                outcome.append(error)
            self._wake()

        threading.Thread(target=ask, name="looking-up", daemon=True).start()
        self._ready((), time.monotonic() + _SECONDS)
        if not outcome:
            raise TimeoutError
        self._woken.recv(1)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return _by_turns(
            [Address(family, kind, number, at) for family, kind, number, _, at in outcome[0]]
        )[:_MOST_ADDRESSES]

    def connect(self, addresses: Sequence[Address]) -> socket.socket:
        """A socket, which blocks, to the first address that answers.

        Source: https://www.rfc-editor.org/rfc/rfc8305#section-5
        """
        ends = time.monotonic() + _SECONDS
        waiting = list(addresses)
        trying: set[socket.socket] = set()
        failure = _NOT_FOUND
        try:
            while waiting or trying:
                if waiting:
                    try:
                        trying.add(_begin(waiting.pop(0)))
                    except OSError as error:
                        failure = error
                        continue
                until = min(ends, time.monotonic() + _HEAD_START) if waiting else ends
                for done in self._ready(trying, until):
                    trying.remove(done)
                    if not (number := done.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                        done.setblocking(True)
                        return done
                    done.close()
                    failure = OSError(number, os.strerror(number))
                if time.monotonic() >= ends:
                    raise TimeoutError
        finally:
            for other in trying:
                other.close()
        raise failure

    def _ready(self, trying: Collection[socket.socket], until: float) -> list[socket.socket]:
        """Those that are connected or refused, as soon as there are any; none once it is time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for one in trying:
                selector.register(one, selectors.EVENT_WRITE)
            ready = selector.select(max(0.0, until - time.monotonic()))
        if self._interrupted:
            raise ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
        return [one for one in trying if any(key.fileobj is one for key, _ in ready)]

    def _wake(self) -> None:
        with self._lock, suppress(OSError):  # closed by now
            self._waker.send(b"!")


def _by_turns(addresses: Sequence[Address]) -> list[Address]:
    """One of each family after the other, so that a family that leads nowhere holds up little."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    return [address for address in chain(*zip_longest(*families.values())) if address]


def _begin(address: Address) -> socket.socket:
    beginning = socket.socket(address.family, address.kind, address.protocol)
    beginning.setblocking(False)
    try:
        with suppress(BlockingIOError):
            beginning.connect(address.place)
    except BaseException:
        beginning.close()
        raise
    return beginning
