"""arq's worker, as far as it needs no process of its own."""

import asyncio
import logging
import signal
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
from arq.connections import ArqRedis
from arq.worker import func

from push_queue.errors import DrainedError, RedisDeniedError, RedisRefusedError
from push_queue.redis.keys import Keys
from worker import arq_worker
from worker.arq_worker import QueueWorker

DENIED = RedisDeniedError("check the user's ACL")
FULL = RedisRefusedError("is out of memory")
LEASE_SECONDS = 15


async def never(ctx: dict[str, Any], *_: Any, **__: Any) -> None:
    raise AssertionError("it was to be stopped")


def worker_on(fake: fakeredis.FakeAsyncRedis) -> QueueWorker:
    return QueueWorker(
        keys=Keys("push"),
        on_hand_back=lambda: None,
        functions=[func(never, name="never")],
        queue_name="queue",
        redis_pool=ArqRedis(fake.connection_pool),
        handle_signals=False,
    )


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's
async def test_a_job_that_is_stopped_before_it_begins_is_no_error() -> None:
    async with fakeredis.FakeAsyncRedis() as fake:
        worker = worker_on(fake)
        worker._start("queue:job:0", 1)
        worker.handle_sig(signal.SIGTERM)
        await worker.close()


@pytest.mark.parametrize("failed", [False, True])
async def test_an_end_that_redis_does_not_hear_of_is_one_line_of_the_log(
    failed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Raised, it would be a traceback: arq does not wait for it when the job is stopped."""
    server = fakeredis.FakeServer()
    async with fakeredis.FakeAsyncRedis(server=server) as fake:
        worker = worker_on(fake)
        server.connected = False
        if failed:
            await worker.finish_failed_job("queue:job:0", None)
        else:
            await worker.finish_job("queue:job:0", False, None, None, False, None, None)
        server.connected = True
    (told,) = caplog.messages
    assert told.endswith("; it runs again after its lease")


class Takes:
    """A queue whose answers are set by hand, asked at times that are."""

    def __init__(self, worker: QueueWorker, monkeypatch: pytest.MonkeyPatch) -> None:
        self._worker = worker
        self._answer: Exception | None = None
        self._now = 0.0
        self.looks = 0
        self.presence = SimpleNamespace(fleet=1)
        worker.ctx["runtime"] = SimpleNamespace(
            queue=self,
            settings=SimpleNamespace(lease_seconds=LEASE_SECONDS),
            worker_id="w",
            presence=self.presence,
        )
        monkeypatch.setattr(arq_worker, "time", SimpleNamespace(monotonic=lambda: self._now))

    async def take(self, *_: int) -> list[tuple[str, int]]:
        self.looks += 1
        if self._answer:
            raise self._answer
        return []

    async def ask(self, answer: Exception | None, *, at: float) -> None:
        self._answer, self._now = answer, at
        assert await self._worker._take(1) == []

    async def looks_at(self, now: float) -> bool:
        """Whether the worker looks for jobs then."""
        self._now, before = now, self.looks
        await self._worker._poll_iteration()
        return self.looks > before


@pytest.mark.parametrize(
    ("fleet", "early", "late"), [(1, 0.004, 0.004), (40, 0.049, 0.151), (4000, 0.49, 1.51)]
)
async def test_the_larger_the_fleet_the_less_often_an_idle_worker_looks(
    monkeypatch: pytest.MonkeyPatch, fleet: int, early: float, late: float
) -> None:
    async with fakeredis.FakeAsyncRedis() as fake:
        queue = Takes(worker_on(fake), monkeypatch)
        queue.presence.fleet = fleet
        assert await queue.looks_at(1)
        assert await queue.looks_at(1 + early) is (early == late)
        assert await queue.looks_at(1 + early + late)


async def test_a_worker_that_is_denied_for_a_lease_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fakeredis.FakeAsyncRedis() as fake:
        queue = Takes(worker_on(fake), monkeypatch)
        await queue.ask(DENIED, at=0)
        await queue.ask(DENIED, at=LEASE_SECONDS)
        with pytest.raises(RedisDeniedError):
            await queue.ask(DENIED, at=LEASE_SECONDS + 1)


async def test_a_worker_outlives_what_else_is_refused_and_rights_that_come_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with fakeredis.FakeAsyncRedis() as fake:
        queue = Takes(worker_on(fake), monkeypatch)
        for moment in (0, 100):
            await queue.ask(FULL, at=moment)
        # Not since it was full.
        for moment in (101, 110):
            await queue.ask(DENIED, at=moment)
        await queue.ask(None, at=112)
        for moment in (113, 128):
            await queue.ask(DENIED, at=moment)
    denied = f"cannot take jobs: {DENIED}"
    assert caplog.messages == [f"cannot take jobs: {FULL}", denied, "takes jobs again", denied]


async def test_a_drained_worker_ends_when_its_last_job_has(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fakeredis.FakeAsyncRedis() as fake:
        worker = worker_on(fake)
        job = asyncio.get_running_loop().create_future()
        worker.tasks["queue:job:0"] = asyncio.ensure_future(job)
        queue = Takes(worker, monkeypatch)
        ended: list[signal.Signals] = []
        monkeypatch.setattr(worker, "handle_sig", ended.append)
        await queue.ask(DrainedError(), at=0)
        for _ in range(2):
            await worker._poll_iteration()
        assert (ended, worker.allow_pick_jobs) == ([], False)
        job.set_result(None)
        await worker._poll_iteration()
        assert ended == [signal.SIGTERM]
