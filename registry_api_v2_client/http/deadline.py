"""The deadline of a request, which moves while bytes do."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress

from ..exceptions import ProtocolError
from .messages import Answer, Pieces


class Deadline:
    """Moves the deadline of a request: only time in which we wait for the other side counts."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float, answer_seconds: float) -> None:
        self._timeout = timeout
        self._seconds = seconds
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()
        self._answered = False

    def begin(self) -> None:
        """We wait for the other side; each call starts the count again."""
        self._end_at(self._loop.time() + self._seconds)

    def pause(self) -> None:
        """The other side waits for us, unless it has already answered."""
        if not self._answered:
            self._end_at(None)

    def sent(self) -> None:
        """Everything has been sent, and we wait for the answer."""
        if not self._answered:
            self._end_at(self._loop.time() + self._answer_seconds)

    def answered(self) -> None:
        self._answered = True
        self.begin()

    def _end_at(self, moment: float | None) -> None:
        # A body may still run for a moment after its request is over.
        with suppress(RuntimeError):
            self._timeout.reschedule(moment)


class WatchedBody:
    """Passes a body through, tells which side waits, and remembers what the body raised."""

    def __init__(self, body: AsyncIterable[bytes | memoryview], deadline: Deadline) -> None:
        self._body = body
        self._deadline = deadline
        self.failure: Exception | None = None
        self._ended = False

    @property
    def _cut_short(self) -> bool:
        """Whether the body was not read to its end. If its length is known, its end goes unseen."""
        return not self._ended and not isinstance(self._body, Pieces)

    def check(self, answer: Answer) -> None:
        """Raise what the body raised, or ProtocolError for a success before the body's end."""
        if self.failure:
            raise self.failure
        if self._cut_short and answer.status < 300:
            host = answer.url.host_port_subcomponent
            raise ProtocolError(
                f"{host} answered {answer.status} before it had read the whole request",
                status=answer.status,
            )

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        self._deadline.pause()
        try:
            async for block in self._body:
                self._deadline.begin()
                yield block
                self._deadline.pause()
        except Exception as error:
            self.failure = error
            raise
        self._ended = True
        self._deadline.sent()
