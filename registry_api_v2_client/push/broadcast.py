"""One stream of bytes for several uploads: read and compressed once, sent to each registry."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

_AHEAD = 4
"""Pieces that the fastest upload may be ahead of the slowest."""


class Broadcast:
    """Hands every piece of ``source`` to ``count`` views; the slowest sets the pace.

    A view that is closed, because its upload failed, no longer holds up the others.
    """

    def __init__(self, source: AsyncIterable[memoryview], count: int) -> None:
        self._source = source
        self.views = [View() for _ in range(count)]
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pump = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pump:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    async def _run(self) -> None:
        try:
            async for piece in self._source:
                for view in self.views:
                    await view.put(piece)
        except Exception as error:  # noqa: BLE001 - the views raise it
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        for view in self.views:
            view.end(error)


class View:
    """One upload's share of a broadcast, to iterate over once."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[memoryview | Exception | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)
        self._closed = False

    async def put(self, piece: memoryview) -> None:
        if not self._closed:
            await self._room.acquire()
            self._pieces.put_nowait(piece)

    def end(self, error: Exception | None) -> None:
        self._pieces.put_nowait(error)

    def close(self) -> None:
        """The upload is over, one way or the other."""
        self._closed = True
        self._room.release()

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece
            self._room.release()
