"""A request body that can be ended early, so that the request still gets its answer."""

from collections.abc import AsyncIterable, AsyncIterator


class EndableBody:
    """Passes ``blocks`` through until ``end`` is called."""

    def __init__(self, blocks: AsyncIterable[memoryview]) -> None:
        self._blocks = blocks
        self._ended = False

    def end(self) -> None:
        self._ended = True

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        async for block in self._blocks:
            if self._ended:
                return
            yield block
