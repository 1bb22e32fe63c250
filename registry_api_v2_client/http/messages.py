"""What is sent to a registry, and what comes back."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from multidict import CIMultiDictProxy
from yarl import URL

PIECE = 256 << 10
"""Bytes handed to the socket at a time. Time-outs are checked between two pieces."""


Pace = Callable[[memoryview], AsyncIterator[memoryview]]
"""Gives a piece in parts, each as soon as it may be sent."""


async def at_once(piece: memoryview) -> AsyncIterator[memoryview]:
    yield piece


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes as a body that is sent piece by piece, and can be sent again."""

    content: bytes
    pace: Pace = at_once

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        view = memoryview(self.content)
        for start in range(0, len(view), PIECE):
            async for part in self.pace(view[start : start + PIECE]):
                yield part


Body = bytes | Pieces | AsyncIterable[bytes | memoryview]
Sink = Callable[[bytes], Awaitable[None]]
"""Takes the body of a 200 piece by piece, however long it is."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, made for the registry at ``registry``, whether it goes there or elsewhere.

    A ``sink`` gets the body of a 200; the body in the answer is then empty. Where the request
    ``commits`` an upload, the answer may take longer.
    """

    method: str
    url: URL
    registry: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    sink: Sink | None = None
    commits: bool = False

    @property
    def sends(self) -> bool:
        """Whether it may change something: all but GET and HEAD."""
        return self.method not in ("GET", "HEAD")

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent a second time: a stream cannot."""
        return self.body is None or isinstance(self.body, bytes | Pieces)

    def authorized(self, header: str | None) -> "Request":
        """The same with an Authorization header, if there is one."""
        own = {"Authorization": header} if header else {}
        return replace(self, headers={**self.headers, **own})


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its (bounded) body; ``url`` is where it came from."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL
