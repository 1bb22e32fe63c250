"""Steps in the background, such as the renewals of a lease and a worker's sign of life."""

import asyncio

import pytest

from worker.periodic import Periodic


async def test_a_bug_in_one_step_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    steps = 0
    went_on = asyncio.Event()

    async def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 1:
            raise ZeroDivisionError
        went_on.set()

    async with asyncio.timeout(60), Periodic(0, step):
        await went_on.wait()
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_no_step_follows_one_that_fails_as_it_is_cancelled() -> None:
    steps = 0
    began = asyncio.Event()

    async def step() -> None:
        nonlocal steps
        steps += 1
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if steps == 1:
                raise ZeroDivisionError from None
            raise

    periodic = Periodic(0, step)
    periodic.start()
    await began.wait()
    stopping = asyncio.create_task(periodic.stop())
    await asyncio.wait([stopping], timeout=10)
    assert (steps, stopping.done()) == (1, True)
