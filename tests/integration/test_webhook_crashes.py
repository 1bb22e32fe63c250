"""Webhooks while what sends them dies: every event arrives, and each job's in their order."""

import logging
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web

from producer import JobState, PushQueue, load_settings
from push_queue.jobs.events import START
from push_queue.redis.keys import Keys
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.hook_receiver import Event, HookReceiver, take
from tests.support.processes import ManagedProcess
from tests.support.redis_client import Redis
from tests.support.servers import RedisServer, StartWorker, wait_for_worker, worker_process
from tests.support.waiting import becomes
from tests.support.webhooks import setting

pytestmark = pytest.mark.integration

FAST = {
    "PUSH_QUEUE_LEASE_SECONDS": "3",
    "PUSH_QUEUE_RETRY_BASE_SECONDS": "0.05",
    "PUSH_QUEUE_RETRY_MAX_SECONDS": "0.2",
}
NOWHERE = "127.0.0.1:1/app:1"


@pytest.fixture
async def receiver() -> AsyncIterator[HookReceiver]:
    async with HookReceiver() as receiver:
        yield receiver


async def fail_job(queue: PushQueue, job_id: str) -> None:
    """A job that ends soon: its tar does not exist."""
    await queue.enqueue("/no/such.tar", NOWHERE, job_id=job_id)
    assert (await queue.wait(job_id, timeout=60)).state is JobState.FAILED


async def fail_again(queue: PushQueue, job_id: str) -> None:
    await queue.retry(job_id)
    assert (await queue.wait(job_id, timeout=60)).state is JobState.FAILED


async def nothing_waits(queue: PushQueue) -> None:
    outbox = WebhookOutbox(queue.database)

    async def holds() -> bool:
        return not any(status.waiting for status in await outbox.statuses())

    await becomes(holds)


async def is_registered(queue: PushQueue) -> None:
    outbox = WebhookOutbox(queue.database)

    async def holds() -> bool:
        return bool(await outbox.statuses())

    await becomes(holds)


async def has_sender(redis: Redis, keys: Keys) -> None:
    """Wait until a worker has the lease of the receiver."""

    async def holds() -> bool:
        return bool(await redis.exists(keys.webhook_sender("ci")))

    await becomes(holds)


def generations(events: list[Event]) -> list[int]:
    return [event["data"]["generation"] for event in events]


async def test_a_sender_that_is_killed_before_it_notes_the_answer(
    queue: PushQueue, worker: StartWorker, receiver: HookReceiver
) -> None:
    """The receiver has the event, and gets it once more, before the job's next."""
    hooks = setting(ci={"url": receiver.url})
    sender = worker(PUSH_QUEUE_WEBHOOKS=hooks, **FAST)

    async def kill_then_take(request: web.BaseRequest, event: Event) -> web.StreamResponse:
        receiver.answer = take
        sender.kill()
        return await take(request, event)

    receiver.answer = kill_then_take
    await queue.enqueue("/no/such.tar", NOWHERE, job_id="a")
    await receiver.until(lambda: len(receiver.taken) == 1)
    worker(PUSH_QUEUE_WEBHOOKS=hooks, **FAST)
    await fail_again(queue, "a")
    await receiver.until(lambda: len(receiver.events) == 2)
    await nothing_waits(queue)
    assert generations(receiver.events) == [0, 1]
    first, again, *_ = receiver.taken
    assert first == again


async def test_a_sender_that_is_suspended_for_longer_than_its_lease(
    queue: PushQueue, worker: StartWorker, receiver: HookReceiver, redis: Redis, keys: Keys
) -> None:
    """Another takes over. The first may repeat what it had in hand, but is ahead of nothing."""
    hooks = setting(ci={"url": receiver.url})
    first = worker(PUSH_QUEUE_WEBHOOKS=hooks, **FAST)
    await has_sender(redis, keys)

    async def stop_then_take(request: web.BaseRequest, event: Event) -> web.StreamResponse:
        receiver.answer = take
        first.signal(signal.SIGSTOP)
        return await take(request, event)

    await fail_job(queue, "a")
    await nothing_waits(queue)
    receiver.answer = stop_then_take
    await fail_again(queue, "a")
    await receiver.until(lambda: len(receiver.events) == 2)
    worker(PUSH_QUEUE_WEBHOOKS=hooks, **FAST)
    await fail_again(queue, "a")
    await receiver.until(lambda: len(receiver.events) == 3)
    assert generations(receiver.taken).count(1) > 1
    first.signal(signal.SIGCONT)
    await fail_again(queue, "a")
    await receiver.until(lambda: len(receiver.events) == 4)
    await nothing_waits(queue)
    assert generations(receiver.events) == [0, 1, 2, 3]
    assert first.terminate() == 0
    assert "Traceback" not in first.log


async def test_redis_that_is_killed_loses_no_event(
    start_redis: Callable[[], RedisServer], receiver: HookReceiver, tmp_path: Path
) -> None:
    redis = start_redis()
    env = {
        **FAST,
        "PUSH_QUEUE_REDIS_URL": redis.url,
        "PUSH_QUEUE_WEBHOOKS": setting(ci={"url": receiver.url}),
    }

    async def restart_then_take(request: web.BaseRequest, event: Event) -> web.StreamResponse:
        receiver.answer = take
        redis.kill()
        return await take(request, event)

    with worker_process(tmp_path / "worker.log", env) as process:
        wait_for_worker(process, redis.url, "push")
        async with PushQueue.connect(load_settings(redis_url=redis.url)) as queue:
            for job_id in ("a", "b"):
                await fail_job(queue, job_id)
            await nothing_waits(queue)
            receiver.answer = restart_then_take
            await queue.enqueue("/no/such.tar", NOWHERE, job_id="c")
            await receiver.until(lambda: len(receiver.events) == 3)
            redis.start()
            await fail_job(queue, "d")
            await receiver.until(lambda: len(receiver.events) == 4)
            await nothing_waits(queue)
            assert {event["subject"] for event in receiver.events} == {"a", "b", "c", "d"}
        assert process.returncode is None


JOBS = 500
RETRIED = 100
STRIKES = 6
WORKERS = 3


class Workers:
    """Three processes, of which some are killed after every so many events."""

    def __init__(self, folder: Path, env: dict[str, str], seed: int) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self._env = env
        self._random = random.Random(seed)
        self._running: list[ManagedProcess] = []
        self._started = 0
        self._kill_at = [*range(50, JOBS, JOBS // STRIKES), JOBS + RETRIED]
        self.kills = 0

    def __enter__(self) -> "Workers":
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def strike(self, delivered: int) -> None:
        """Kill some, if it is time, and start others in their place."""
        if delivered < self._kill_at[0]:
            return
        self._kill_at.pop(0)
        victims = self._random.sample(self._running, self._random.randint(1, WORKERS))
        for victim in victims:
            victim.kill()
            self._running.remove(victim)
            self.kills += 1
        self._fill()

    def _fill(self) -> None:
        while len(self._running) < WORKERS:
            self._started += 1
            log = self._folder / f"worker-{self._started}.log"
            self._running.append(self._stack.enter_context(worker_process(log, self._env)))


async def ends(queue: PushQueue) -> dict[str, list[JobState]]:
    """What the stream of events has of each job's ends, in order."""
    found: defaultdict[str, list[JobState]] = defaultdict(list)
    place = START
    while True:
        events, place = await queue.events(place, limit=1000)
        if not events:
            return found
        for _, event in events:
            if event.state.final:
                found[event.id].append(event.state)


@pytest.mark.timeout(900)
async def test_every_event_of_hundreds_of_jobs_arrives_in_order_while_workers_are_killed(
    queue: PushQueue, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Some jobs are retried by a person when they have failed, some are cancelled."""
    seed = random.randrange(1000)
    logging.getLogger(__name__).warning("seed %s", seed)  # Shown if it fails.
    retried: set[str] = set()

    async def take_or_not(request: web.BaseRequest, event: Event) -> web.StreamResponse:
        if chance.random() < 0.1:
            return web.Response(status=500)
        return await take(request, event)

    chance = random.Random(seed)
    async with HookReceiver(take_or_not) as receiver:
        env = {
            **FAST,
            "PUSH_QUEUE_REDIS_URL": redis_url,
            "PUSH_QUEUE_NAMESPACE": namespace,
            "PUSH_QUEUE_WEBHOOKS": setting(ci={"url": receiver.url}),
        }
        with Workers(tmp_path, env, seed) as workers:
            await is_registered(queue)
            jobs = [queue.describe("/no/such.tar", NOWHERE, job_id=f"job-{n}") for n in range(JOBS)]
            await queue.enqueue_many(jobs)
            for n in range(0, JOBS, 10):
                await queue.cancel(f"job-{n}")
            while (known := len(receiver.events)) < JOBS + RETRIED:
                seen = len(receiver.taken)
                workers.strike(known)
                for event in receiver.taken:
                    if len(retried) < RETRIED and event["subject"] not in retried:
                        retried.add(event["subject"])
                        await queue.retry(event["subject"])
                await receiver.takes_more_than(seen)
            await nothing_waits(queue)
        told = defaultdict(list)
        for event in receiver.events:
            told[event["subject"]].append(event["data"]["state"])
        assert told == await ends(queue)
        assert sum(map(len, told.values())) == JOBS + RETRIED
        numbers = defaultdict(list)
        for event in receiver.events:
            numbers[event["subject"]].append(event["sequence"])
        assert all(of_job == sorted(of_job) for of_job in numbers.values())
        contents: dict[str, Event] = {}
        assert all(contents.setdefault(event["id"], event) == event for event in receiver.tried)
        assert workers.kills
