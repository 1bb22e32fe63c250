"""How much of a server one caller may take, so that others have theirs.

Each server counts for itself. Those who have no name are on its own machine, and are not counted.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import ceil
from time import monotonic
from typing import NamedTuple

from producer.api.access.callers import Caller
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError

SAVED_SECONDS = 10
"""A caller that has been quiet may send as many seconds' worth of requests at once."""
MOST_REQUESTS_AT_ONCE = 64
"""Beside those that wait, follow or upload. One may have a thousand jobs in memory."""
MOST_BODY_BYTES_AT_ONCE = 16 * 1024 * 1024
"""Of bodies that are kept in memory until they are complete."""
MOST_UPLOADS_AT_ONCE = 32
"""Each keeps a file open, and a thread busy while its bytes are hashed."""
_MOST_REMEMBERED = 10_000
_RETRY_SECONDS = 1


class _Saved(NamedTuple):
    """How many requests a caller could send at once at that time."""

    requests: float
    at: float


class CallerLimits:
    """Requests a second; requests, streams, uploads and bytes of bodies at once; by name."""

    def __init__(self, *, rate: int, streams: int) -> None:
        self._rate = rate
        self._most_streams = streams
        self._burst = rate * SAVED_SECONDS
        self._saved: dict[str, _Saved] = {}
        self._requests: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._body_bytes: Counter[str] = Counter()
        self._uploads: Counter[str] = Counter()

    def count(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            ProblemError: the caller sends too many; it says when to come again.
        """
        if caller.name is None:
            return
        now = monotonic()
        if len(self._saved) >= _MOST_REMEMBERED:
            self._forget_quiet_ones(now)
        saved = self._saved_by(caller.name, now)
        if saved < 1:
            raise _too_many(
                ProblemType.TOO_MANY_REQUESTS,
                f"{caller.name} sends more than {self._rate} requests a second; "
                "enqueue many jobs in one request, and wait with ?wait=60",
                (1 - saved) / self._rate,
            )
        self._saved[caller.name] = _Saved(saved - 1, now)

    def request(self, caller: Caller) -> AbstractContextManager[None]:
        """The time for which a request is handled.

        Raises:
            ProblemError: too many of the caller's are.
        """
        return _held(
            self._requests,
            caller,
            1,
            MOST_REQUESTS_AT_ONCE,
            ProblemType.TOO_MANY_REQUESTS,
            f"{MOST_REQUESTS_AT_ONCE} requests of {caller.name} are under way; wait for answers",
        )

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[None]:
        """The time for which a request waits, follows or uploads.

        Raises:
            ProblemError: too many of the caller's do.
        """
        with (
            _held(
                self._streams,
                caller,
                1,
                self._most_streams,
                ProblemType.TOO_MANY_STREAMS,
                f"{self._most_streams} requests of {caller.name} wait for jobs or follow them "
                "already",
            ),
            _let_go(self._requests, caller),
        ):
            yield

    def body(self, caller: Caller, size: int) -> AbstractContextManager[None]:
        """The time for which a body of that many bytes is read.

        Raises:
            ProblemError: too many of the caller's are.
        """
        return _held(
            self._body_bytes,
            caller,
            size,
            MOST_BODY_BYTES_AT_ONCE,
            ProblemType.TOO_MANY_BODIES,
            f"{caller.name} sends too many large bodies at once; send one after the other",
        )

    def upload(self, caller: Caller) -> AbstractContextManager[None]:
        """The time for which the bytes of an upload arrive.

        Raises:
            ProblemError: too many of the caller's do.
        """
        return _held(
            self._uploads,
            caller,
            1,
            MOST_UPLOADS_AT_ONCE,
            ProblemType.TOO_MANY_UPLOADS_OF_CALLER,
            f"{MOST_UPLOADS_AT_ONCE} uploads of {caller.name} arrive already; wait for one to end",
        )

    def _saved_by(self, name: str, now: float) -> float:
        """How many requests the caller may send now."""
        requests, at = self._saved.get(name, (self._burst, now))
        return min(requests + (now - at) * self._rate, self._burst)

    def _forget_quiet_ones(self, now: float) -> None:
        self._saved = {
            name: saved
            for name, saved in self._saved.items()
            if self._saved_by(name, now) < self._burst
        }


@contextmanager
def _held(
    held: Counter[str], caller: Caller, amount: int, most: int, problem: ProblemType, detail: str
) -> Iterator[None]:
    name = caller.name
    if name is None:
        yield
        return
    if held[name] + amount > most:
        raise _too_many(problem, detail, _RETRY_SECONDS)
    held[name] += amount
    try:
        yield
    finally:
        held[name] -= amount
        if not held[name]:
            del held[name]


@contextmanager
def _let_go(held: Counter[str], caller: Caller) -> Iterator[None]:
    """Hold one less for the time being."""
    if caller.name is None:
        yield
        return
    held[caller.name] -= 1
    try:
        yield
    finally:
        held[caller.name] += 1


def _too_many(problem: ProblemType, detail: str, seconds: float) -> ProblemError:
    headers = {"Retry-After": str(ceil(seconds))}
    return ProblemError(problem, detail, headers=headers)
