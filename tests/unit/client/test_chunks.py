"""Cutting a stream into chunks loses nothing, and always keeps some bytes for the end."""

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.push.chunks import Chunks


async def stream(pieces: list[bytes]) -> AsyncIterator[memoryview]:
    for piece in pieces:
        yield memoryview(piece)


@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(1, 50))
async def test_chunks_are_of_one_size_and_leave_a_rest(pieces: list[bytes], size: int) -> None:
    chunks = Chunks(stream(pieces), size)
    cut = [chunk async for chunk in chunks]
    whole = b"".join(pieces)
    assert b"".join([*cut, chunks.rest]) == whole
    assert all(len(chunk) == size for chunk in cut)
    assert len(chunks.rest) <= size
    assert bool(chunks.rest) is bool(whole)


async def test_a_chunk_is_handed_out_before_the_stream_ends() -> None:
    taken = []

    async def pieces() -> AsyncIterator[memoryview]:
        for number in range(10):
            taken.append(number)
            yield memoryview(b"12345678")

    async for _ in Chunks(pieces(), 16):
        assert len(taken) == 3
        return
