"""A stream that is left early gives back what it holds, also when its end is interrupted."""

import asyncio
import threading
from typing import cast

import pytest

from registry_api_v2_client.archive.files import Member, Reader
from registry_api_v2_client.push.blob_stream import BlobStream
from registry_api_v2_client.push.blocks import BlockPool
from registry_api_v2_client.push.compression import BLOCK_SIZE, AsIs
from tests.support.waiting import becomes


class StuckReader:
    """Blocks in its first read until it is released."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self.let_go = threading.Event()
        self.closed = False

    def readinto(self, buffer: memoryview) -> int:
        self.reading.set()
        self.let_go.wait(60)
        return len(buffer)

    def close(self) -> None:
        self.closed = True


async def test_a_cancel_while_it_ends_leaves_no_file_open() -> None:
    reader, pool = StuckReader(), BlockPool()
    member = Member("layer.tar", 0, 9 * BLOCK_SIZE, b"")
    ending = asyncio.Event()

    async def leave_early() -> None:
        async with BlobStream(
            lambda: cast(Reader, reader), member, None, AsIs(), pool, lambda _: None
        ):
            await asyncio.to_thread(reader.reading.wait)
            ending.set()

    async def closed() -> bool:
        return reader.closed

    leaving = asyncio.create_task(leave_early())
    await ending.wait()
    leaving.cancel()
    await asyncio.sleep(0)
    reader.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await becomes(closed)
    pool.close()
