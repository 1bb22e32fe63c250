"""Progress of a push on its way to Redis: summed up, throttled, and repeated after a failure."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from push_queue.errors import RedisUnavailableError
from push_queue.jobs.attempts import Attempts
from push_queue.models.assignments import Assignment, Signal
from push_queue.models.job import make_job
from push_queue.models.job_status import BlobStatus
from registry_api_v2_client import BlobProgress, BlobState
from worker import progress_reporter
from worker.progress_reporter import ProgressReporter
from worker.upload_rate import UploadRate

ASSIGNMENT = Assignment(
    make_job(id="job-1", source="/images/app.tar", targets=["localhost:15000/app:1"]),
    targets=("localhost:15000/app:1",),
    attempt=1,
    fence=1,
)


@dataclass
class Written:
    bytes_done: int
    bytes_total: int
    blobs_done: int
    blobs_total: int
    blobs: list[BlobStatus] = field(default_factory=list)
    bytes_sent: int = 0
    bytes_saved: int = 0
    bytes_per_second: int = 0
    seconds_left: int | None = None


@dataclass
class Store:
    """Has the methods of ``Attempts``; answers by script, then that all is well."""

    answers: list[Signal | Exception] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    heartbeats: int = 0

    async def progress(
        self, assignment: Assignment, *, blobs: Iterable[BlobStatus], **numbers: Any
    ) -> Signal:
        assert assignment is ASSIGNMENT
        signal = self._answer()
        self.written.append(Written(blobs=list(blobs), **numbers))
        return signal

    async def heartbeat(self, assignment: Assignment) -> Signal:
        assert assignment is ASSIGNMENT
        self.heartbeats += 1
        return self._answer()

    def _answer(self) -> Signal:
        answer = self.answers.pop(0) if self.answers else Signal.CONTINUE
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def store() -> Store:
    return Store()


class Clock:
    """A monotonic clock that stands still."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_reporter, "UploadRate", lambda: UploadRate(clock.monotonic))
    return clock


@pytest.fixture
def reporter(store: Store, clock: Clock) -> ProgressReporter:
    return ProgressReporter(cast(Attempts, store), ASSIGNMENT)


@pytest.fixture
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_reporter, "_WRITE_SECONDS", 0.0)


def part(
    digest: str,
    done: int,
    state: BlobState,
    *,
    repository: str = "app",
    size: int = 100,
    sent: int = 0,
) -> BlobProgress:
    return BlobProgress(repository, digest, size, done, state, sent)


def away() -> Exception:
    return RedisUnavailableError("redis is down")


# What is written


async def test_totals_are_over_all_blobs_and_only_changes_are_named(
    store: Store, reporter: ProgressReporter
) -> None:
    reporter.update(part("a", 0, BlobState.WAITING))
    reporter.update(part("b", 0, BlobState.WAITING, size=50))
    await reporter.flush()
    reporter.update(part("a", 30, BlobState.UPLOADING))
    reporter.update(part("a", 40, BlobState.UPLOADING))
    await reporter.flush()
    first, second = store.written
    assert first == Written(
        0, 150, 0, 2, [BlobStatus(digest=d, size=s, done=0) for d, s in (("a", 100), ("b", 50))]
    )
    assert second == Written(40, 150, 0, 2, [BlobStatus(digest="a", size=100, done=40)])


@pytest.mark.parametrize("state", [state for state in BlobState if state.final])
async def test_a_blob_that_is_there_counts_whole_and_tells_how(
    state: BlobState, store: Store, reporter: ProgressReporter
) -> None:
    reporter.update(part("a", 100, state))
    await reporter.flush()
    (written,) = store.written
    assert (written.bytes_done, written.blobs_done) == (100, 1)
    assert [blob.how for blob in written.blobs] == [state.value]


async def test_a_blob_is_done_when_it_is_in_every_repository(
    store: Store, reporter: ProgressReporter
) -> None:
    for repository in ("app", "copy"):
        reporter.update(part("a", 0, BlobState.WAITING, repository=repository))
    reporter.update(part("a", 100, BlobState.UPLOADED, repository="app"))
    await reporter.flush()
    reporter.update(part("a", 100, BlobState.MOUNTED, repository="copy"))
    await reporter.flush()
    half, whole = store.written
    assert (half.blobs_done, half.blobs_total, half.bytes_total) == (0, 1, 100)
    assert half.blobs[0].how == ""
    assert (whole.blobs_done, whole.bytes_done) == (1, 100)
    assert whole.blobs == [BlobStatus(digest="a", size=100, done=100, how="uploaded")]


async def test_an_upload_that_starts_over_goes_back(
    store: Store, reporter: ProgressReporter
) -> None:
    reporter.update(part("a", 60, BlobState.UPLOADING))
    await reporter.flush()
    reporter.update(part("a", 0, BlobState.UPLOADING))
    await reporter.flush()
    assert [written.bytes_done for written in store.written] == [60, 0]


async def test_no_news_is_not_written(store: Store, reporter: ProgressReporter) -> None:
    await reporter.flush()
    reporter.update(part("a", 1, BlobState.UPLOADING))
    await reporter.flush()
    await reporter.flush()
    assert len(store.written) == 1
    assert store.heartbeats == 0


async def test_what_could_not_be_written_is_written_the_next_time(
    store: Store, reporter: ProgressReporter
) -> None:
    store.answers = [away()]
    reporter.update(part("a", 10, BlobState.UPLOADING))
    await reporter.flush()
    assert store.written == []
    reporter.update(part("b", 20, BlobState.UPLOADING))
    await reporter.flush()
    assert {blob.digest for blob in store.written[0].blobs} == {"a", "b"}


async def test_what_was_sent_and_what_was_not_is_summed_up(
    store: Store, reporter: ProgressReporter
) -> None:
    reporter.update(part("a", 100, BlobState.UPLOADED, sent=30))
    reporter.update(part("a", 100, BlobState.UPLOADED, repository="elsewhere", sent=31))
    for digest, state in zip("bcd", (s for s in BlobState if s.saved), strict=True):
        reporter.update(part(digest, 100, state, sent=1))
    await reporter.flush()
    (written,) = store.written
    assert (written.bytes_sent, written.bytes_saved) == (64, 300)


# How fast it goes


async def test_the_rate_is_that_of_the_bytes_to_send(
    store: Store, reporter: ProgressReporter, clock: Clock
) -> None:
    reporter.update(part("a", 0, BlobState.UPLOADING, size=1000))
    reporter.update(part("b", 0, BlobState.WAITING, size=500))
    await reporter.flush()
    clock.now += 2
    reporter.update(part("a", 100, BlobState.UPLOADING, size=1000))
    reporter.update(part("b", 500, BlobState.EXISTS, size=500))
    await reporter.flush()
    assert [(one.bytes_per_second, one.seconds_left) for one in store.written] == [
        (0, None),
        (50, 18),
    ]


async def test_a_stall_is_written_until_the_rate_is_nothing(
    store: Store, reporter: ProgressReporter, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    reporter.update(part("a", 0, BlobState.UPLOADING))
    await reporter.flush()
    reporter.update(part("a", 50, BlobState.UPLOADING))
    store.answers = [*[Signal.CONTINUE] * 20, Signal.CANCEL]
    await reporter.watch()
    rates = [written.bytes_per_second for written in store.written[1:]]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 200
    assert rates[-1] == 0
    assert store.written[-1].seconds_left is None
    assert len(rates) < 10
    assert store.heartbeats > 10, "nothing more to write"


# Watching


@pytest.mark.parametrize("signal", [Signal.CANCEL, Signal.LOST])
@pytest.mark.parametrize("news", [True, False])
async def test_watching_ends_when_the_job_is_not_to_go_on(
    news: bool, signal: Signal, store: Store, reporter: ProgressReporter, in_no_time: None
) -> None:
    store.answers = [Signal.CONTINUE, away(), signal]
    if news:
        reporter.update(part("a", 10, BlobState.UPLOADING))
    async with asyncio.timeout(60):
        assert await reporter.watch() is signal


async def test_without_news_it_asks_less_often(
    store: Store, reporter: ProgressReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    intervals = 0

    async def sleep(_: float) -> None:
        nonlocal intervals
        intervals += 1

    monkeypatch.setattr(asyncio, "sleep", sleep)
    store.answers = [*[Signal.CONTINUE] * 9, Signal.CANCEL]
    await reporter.watch()
    assert store.heartbeats == 10
    assert intervals >= 3 * store.heartbeats


async def test_many_changes_in_one_interval_are_one_write(
    store: Store, reporter: ProgressReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        for done in range(100):
            reporter.update(part("a", done, BlobState.UPLOADING))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    store.answers = [Signal.CONTINUE, Signal.CONTINUE, Signal.CANCEL]
    await reporter.watch()
    assert len(store.written) == len(slept) == 3
    assert min(slept) >= 0.25, "at most four times a second"
    assert [written.bytes_done for written in store.written] == [99] * 3


@pytest.mark.parametrize("state", BlobState)
def test_every_state_has_a_name_in_the_status(state: BlobState) -> None:
    blob = BlobStatus.model_validate(part("a", 1, state))
    assert blob.how == (state if state.final else "")
