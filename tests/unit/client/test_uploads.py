"""Upload sessions that a push leaves open: abandoned once, and within bounds."""

import asyncio

import pytest

from registry_api_v2_client.push import uploads
from registry_api_v2_client.push.uploads import OpenUploads


class Session:
    """Counts how often it was abandoned."""

    def __init__(self) -> None:
        self.abandoned = 0

    async def abandon(self) -> None:
        self.abandoned += 1


async def test_what_is_still_open_is_abandoned() -> None:
    open_uploads, finished, broken = OpenUploads(), Session(), Session()
    open_uploads.add("finished", finished.abandon)
    open_uploads.add("broken", broken.abandon)
    open_uploads.remove("finished")
    await open_uploads.abandon()
    assert (finished.abandoned, broken.abandoned) == (0, 1)


async def test_it_happens_once() -> None:
    open_uploads, session = OpenUploads(), Session()
    open_uploads.add("session", session.abandon)
    await open_uploads.abandon()
    await open_uploads.abandon()
    assert session.abandoned == 1


async def test_a_session_takes_the_place_of_the_one_before_it() -> None:
    open_uploads, before, now = OpenUploads(), Session(), Session()
    open_uploads.add("place", before.abandon)
    open_uploads.add("place", now.abandon)
    await open_uploads.abandon()
    assert (before.abandoned, now.abandoned) == (0, 1)


async def test_one_may_be_closed_alone() -> None:
    open_uploads, one, other = OpenUploads(), Session(), Session()
    open_uploads.add("one", one.abandon)
    open_uploads.add("other", other.abandon)
    await open_uploads.close("one")
    await open_uploads.close("one")
    await open_uploads.close("never there")
    assert (one.abandoned, other.abandoned) == (1, 0)


async def test_one_may_take_itself_out_while_it_is_abandoned() -> None:
    open_uploads, other = OpenUploads(), Session()

    async def abandon() -> None:
        open_uploads.remove("first")
        open_uploads.remove("other")

    open_uploads.add("first", abandon)
    open_uploads.add("other", other.abandon)
    await open_uploads.abandon()
    assert other.abandoned == 1


async def test_nothing_open_is_fine() -> None:
    open_uploads = OpenUploads()
    open_uploads.remove("never there")
    await open_uploads.abandon()


async def test_a_registry_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "_ABANDON_SECONDS", 0.01)
    open_uploads, session = OpenUploads(), Session()
    stopped = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    open_uploads.add("hangs", hang)
    open_uploads.add("answers", session.abandon)
    async with asyncio.timeout(60):
        await open_uploads.abandon()
    assert stopped.is_set()
    assert session.abandoned == 1
