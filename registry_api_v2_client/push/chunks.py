"""A stream of unknown length, cut into chunks of known length."""

from collections.abc import AsyncIterable, AsyncIterator


class Chunks:
    """Cuts ``pieces`` into chunks of ``size`` bytes, to iterate over once.

    ``rest`` is what is left after the last of them: 1 to ``size`` bytes, or none if there were none
    at all. Amazon ECR rejects a final PUT without bytes after chunks, so some are kept for it:
    https://github.com/openai/tart/pull/159
    """

    def __init__(self, pieces: AsyncIterable[memoryview], size: int) -> None:
        self.rest = b""
        self._pieces = pieces
        self._size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held: list[memoryview] = []
        length = 0
        async for piece in self._pieces:
            rest = piece
            while length + len(rest) > self._size:
                missing = self._size - length
                yield b"".join([*held, rest[:missing]])
                held, length, rest = [], 0, rest[missing:]
            held.append(rest)
            length += len(rest)
        self.rest = b"".join(held)
