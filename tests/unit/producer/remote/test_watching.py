"""Watching all jobs of a server: also their ends, however soon, and in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from producer import PushQueue
from producer.remote import endings
from producer.remote import queue as remote_queue
from producer.remote.queue import RemoteQueue
from push_queue.models.job_status import JobState, JobStatus
from tests.support.api import TARGET
from tests.support.proxy import FaultProxy, Request

HANG_SECONDS = 60
SOURCE = "/images/app.tar"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_queue, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(endings, "PAUSE_SECONDS", 0.01)


def is_stream(request: Request) -> bool:
    return request.path == "/api/v1/events"


async def until(
    changes: AsyncGenerator[JobStatus, None], job_id: str, state: JobState
) -> JobStatus:
    async with asyncio.timeout(HANG_SECONDS):
        async for job in changes:
            if (job.id, job.state) == (job_id, state):
                return job
    raise AssertionError("it ends by itself")


async def test_the_end_of_a_job_is_told(remote: RemoteQueue, queue: PushQueue) -> None:
    await queue.enqueue(SOURCE, TARGET, job_id="a")
    async with aclosing(remote.watch()) as changes:
        await until(changes, "a", JobState.QUEUED)
        await queue.cancel("a")
        await until(changes, "a", JobState.CANCELLED)
        # One that was never seen before its end.
        await queue.enqueue(SOURCE, TARGET, job_id="b")
        await queue.cancel("b")
        await until(changes, "b", JobState.CANCELLED)


async def test_an_event_that_cannot_be_read_hides_no_other(
    remote: RemoteQueue, queue: PushQueue, proxy: FaultProxy
) -> None:
    odd = b"".join(
        b"id: 1-1\nevent: state\ndata: %b\n\n" % data
        for data in (b"{", b"[]", b"{}", b'{"state": "new"}')
    )
    stream = {"Content-Type": "text/event-stream"}
    proxy.answer(is_stream, status=200, headers=stream, body=odd)
    async with aclosing(remote.watch()) as changes:
        await queue.enqueue(SOURCE, TARGET, job_id="a")
        await until(changes, "a", JobState.QUEUED)
        await queue.cancel("a")
        await until(changes, "a", JobState.CANCELLED)


async def test_nothing_is_kept_of_jobs_that_have_ended(
    remote: RemoteQueue, queue: PushQueue
) -> None:
    await queue.enqueue(SOURCE, TARGET, job_id="last")
    async with aclosing(remote.watch()) as changes:
        await until(changes, "last", JobState.QUEUED)
        for number in range(5):
            await queue.enqueue(SOURCE, TARGET, job_id=f"a{number}")
            await queue.cancel(f"a{number}")
            await until(changes, f"a{number}", JobState.CANCELLED)
        await queue.cancel("last")
        await until(changes, "last", JobState.CANCELLED)
        assert len(remote._details) <= 1
