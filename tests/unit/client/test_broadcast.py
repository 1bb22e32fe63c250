"""One source, several views: all get everything, and the slowest sets the pace."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.exceptions import ArchiveDigestError
from registry_api_v2_client.push.broadcast import Broadcast, View

PIECES = [memoryview(b"%d" % number) for number in range(50)]
A_FEW = 6
"""Pieces that may be on their way between the source and a view."""


class Source:
    """Gives the pieces, and tells how many have been taken."""

    def __init__(self, error: Exception | None = None) -> None:
        self.given = 0
        self.closed = False
        self._error = error

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        try:
            for piece in PIECES:
                self.given += 1
                yield piece
            if self._error:
                raise self._error
        finally:
            self.closed = True


async def take_all(view: View) -> list[memoryview]:
    return [piece async for piece in view]


async def take(view: View, count: int) -> list[memoryview]:
    """The next pieces; then the reader stops without closing the view."""
    pieces = aiter(view)
    return [await anext(pieces) for _ in range(count)]


async def settle() -> None:
    """Let every task run until all of them wait."""
    for _ in range(1000):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_every_view_gets_every_piece_in_order(count: int) -> None:
    async with asyncio.timeout(60), Broadcast(Source(), count) as broadcast:
        taken = await asyncio.gather(*map(take_all, broadcast.views))
    assert taken == [PIECES] * count


async def test_views_do_not_get_copies() -> None:
    async with asyncio.timeout(60), Broadcast(Source(), 2) as broadcast:
        first, second = await asyncio.gather(*map(take_all, broadcast.views))
    assert all(one is other for one, other in zip(first, second, strict=True))


async def test_a_view_that_stands_still_holds_up_the_source() -> None:
    source = Source()
    async with asyncio.timeout(60), Broadcast(source, 2) as broadcast:
        slow, fast = broadcast.views
        reading = asyncio.create_task(take_all(fast))
        await settle()
        assert source.given <= A_FEW
        await take(slow, 10)
        await settle()
        assert 10 < source.given <= 10 + A_FEW
        assert not reading.done()
        slow.close()
        assert await reading == PIECES


async def test_nobody_reads_so_nothing_is_read_ahead() -> None:
    source = Source()
    async with Broadcast(source, 3):
        await settle()
        assert source.given <= A_FEW


@pytest.mark.parametrize("read_before", [0, 1, 7])
async def test_a_closed_view_holds_up_no_other(read_before: int) -> None:
    async with asyncio.timeout(60), Broadcast(Source(), 3) as broadcast:
        failing, *others = broadcast.views
        reading = [asyncio.create_task(take_all(view)) for view in others]
        await take(failing, read_before)
        await settle()
        failing.close()
        assert await asyncio.gather(*reading) == [PIECES] * 2


async def test_closing_twice_is_closing() -> None:
    async with asyncio.timeout(60), Broadcast(Source(), 2) as broadcast:
        failing, other = broadcast.views
        failing.close()
        failing.close()
        assert await take_all(other) == PIECES


async def test_what_the_source_raises_comes_to_every_view() -> None:
    error = ArchiveDigestError("the layer is not what it says")
    async with asyncio.timeout(60), Broadcast(Source(error), 2) as broadcast:
        taken = await asyncio.gather(*map(take_all, broadcast.views), return_exceptions=True)
    assert taken == [error, error]


async def test_an_error_nobody_thought_of_does_not_leave_the_views_waiting() -> None:
    with pytest.raises(MemoryError):
        async with asyncio.timeout(60), Broadcast(Source(MemoryError()), 2) as broadcast:
            await asyncio.gather(*map(take_all, broadcast.views))


async def test_an_error_that_came_to_the_views_is_not_logged_besides(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with asyncio.timeout(60), Broadcast(Source(ArchiveDigestError("")), 2) as broadcast:
        await asyncio.gather(*map(take_all, broadcast.views), return_exceptions=True)
    del broadcast
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_leaving_early_stops_the_source() -> None:
    source = Source()
    async with Broadcast(source, 2) as broadcast:
        await take(broadcast.views[0], 1)
    given = source.given
    await settle()
    assert source.given == given < len(PIECES)


@given(st.lists(st.integers(0, 2), max_size=200))
def test_however_they_take_turns_each_gets_all(turns: list[int]) -> None:
    async def run() -> list[list[memoryview]]:
        async with asyncio.timeout(60), Broadcast(Source(), 3) as broadcast:
            gates = [asyncio.Semaphore(0) for _ in broadcast.views]

            async def read(number: int, view: View) -> list[memoryview]:
                taken = []
                async for piece in view:
                    taken.append(piece)
                    await gates[number].acquire()
                return taken

            readers = [
                asyncio.create_task(read(number, view))
                for number, view in enumerate(broadcast.views)
            ]
            for turn in turns:
                gates[turn].release()
                await asyncio.sleep(0)
            for gate in gates:
                for _ in PIECES:
                    gate.release()
            return await asyncio.gather(*readers)

    assert asyncio.run(run()) == [PIECES] * 3
