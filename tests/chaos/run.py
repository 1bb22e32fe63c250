"""A chaos run: jobs are enqueued, faults strike, and what became of it all is gathered."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from producer import Attempt, JobState, JobStatus, PushQueue, UnknownJobError, load_settings
from push_queue import FINAL_STATES, JobStore, Keys, RedisUnavailableError, connect
from tests.chaos.archives import JobImage, write_images
from tests.chaos.fleet import Fleet
from tests.chaos.leftovers import leftovers
from tests.chaos.network import ChaosProxy
from tests.chaos.plan import WORKERS, Fault, Plan, PlannedJob, Strike
from tests.chaos.read_back import HeldImage, read_tag
from tests.support.processes import POLL_SECONDS
from tests.support.servers import RedisServer, Registry, http_answers, run_redis, run_registry
from tests.support.waiting import becomes

T = TypeVar("T")

NAMESPACE = "chaos"
LEASE_SECONDS = 2
MID_UPLOAD_SECONDS = 3.0
WINDOW = 40
"""Jobs that wait or run at the most; the producer enqueues more as they end."""

WORKER_ENV = {
    "PUSH_QUEUE_NAMESPACE": NAMESPACE,
    "PUSH_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS),
    "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
    "PUSH_QUEUE_MAX_JOBS": "4",
    "PUSH_QUEUE_RETRY_BASE_SECONDS": "0.1",
    "PUSH_QUEUE_RETRY_MAX_SECONDS": "1",
    "PUSH_QUEUE_LOG_FORMAT": "text",
}
MAX_ATTEMPTS = 50
"""More than any job can need, so that one that fails has been failed by the queue."""


def longest(plan: Plan) -> float:
    """Seconds after which a run has hung."""
    return 60 + 0.5 * plan.count


@dataclass
class Evidence:
    """What is known when a run has ended."""

    plan: Plan
    images: dict[str, JobImage]
    fleet: Fleet
    proxy: ChaosProxy
    registry: Registry
    struck: Counter[Fault] = field(default_factory=Counter)
    cancelled: set[str] = field(default_factory=set)
    """Jobs that somebody wanted to be cancelled."""
    statuses: dict[str, JobStatus] = field(default_factory=dict)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    known_ids: set[str] = field(default_factory=set)
    leftovers: list[str] = field(default_factory=list)
    tags: dict[str, HeldImage | None] = field(default_factory=dict)
    """What the registry holds, by `repository:tag`."""
    timed_out: bool = False
    seconds: float = 0


class ChaosRun:
    """One run on servers of its own."""

    def __init__(
        self, evidence: Evidence, redis: RedisServer, queue: PushQueue, store: JobStore
    ) -> None:
        self._evidence = evidence
        self._plan = evidence.plan
        self._fleet = evidence.fleet
        self._redis = redis
        self._queue = queue
        self._store = store
        self._registry_up = asyncio.Lock()
        self._enqueued = 0
        self._ended = 0
        self._actions: dict[Fault, Callable[[Strike], Awaitable[None]]] = {
            Fault.WORKER_TERM: self._terminate_worker,
            Fault.WORKER_KILL: self._kill_worker,
            Fault.WORKER_PAUSE: self._pause_worker,
            Fault.REDIS_KILL: self._kill_redis,
            Fault.REGISTRY_KILL: self._kill_registry,
            Fault.CANCEL: self._cancel,
            Fault.RETRY: self._retry,
        }

    async def run(self) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(longest(self._plan)):
                await self._fleet.start()
                await self._do_all()
                await self._all_final()
                # A worker that does not know yet that it lost a job gets the time to do wrong.
                await asyncio.sleep(LEASE_SECONDS)
        except TimeoutError:
            self._evidence.timed_out = True
        self._evidence.seconds = time.monotonic() - started
        self._fleet.check()
        await self._gather()

    async def _do_all(self) -> None:
        due = deque(self._plan.strikes)
        async with asyncio.TaskGroup() as running:
            running.create_task(self._enqueue_all())
            while due:
                self._fleet.check()
                await self._count()
                while due and due[0].after <= self._ended:
                    running.create_task(self._strike(due.popleft()))
                await asyncio.sleep(POLL_SECONDS)
            while self._enqueued < self._plan.count:
                await self._count()
                await asyncio.sleep(POLL_SECONDS)

    async def _all_final(self) -> None:
        while await self._count():
            self._fleet.check()
            await asyncio.sleep(POLL_SECONDS)

    async def _count(self) -> int:
        """How many jobs are not final; notes how many have been."""
        counts = await patiently(self._store.counts)
        final = sum(counts[state] for state in FINAL_STATES)
        self._ended = max(self._ended, final)
        return sum(counts.values()) - final

    # What is done to jobs

    async def _enqueue_all(self) -> None:
        for job in self._plan.jobs:
            await until(lambda: self._enqueued - self._ended < WINDOW)
            await patiently(lambda job=job: self._enqueue(job))
            self._enqueued += 1

    async def _enqueue(self, job: PlannedJob) -> None:
        evidence = self._evidence
        await self._queue.enqueue(
            evidence.images[job.id].path,
            [f"{evidence.proxy.host}/{tag}" for tag in job.tags],
            job_id=job.id,
            max_attempts=MAX_ATTEMPTS,
        )

    async def _strike(self, strike: Strike) -> None:
        await self._actions[strike.fault](strike)
        self._evidence.struck[strike.fault] += 1

    async def _cancel(self, strike: Strike) -> None:
        job_id = await self._enqueued_job(strike.subject)
        self._evidence.cancelled.add(job_id)
        await patiently(lambda: self._queue.cancel(job_id))

    async def _retry(self, strike: Strike) -> None:
        job_id = await self._enqueued_job(strike.subject)
        await patiently(lambda: self._queue.wait(job_id))
        await patiently(lambda: self._queue.retry(job_id))

    async def _enqueued_job(self, number: int) -> str:
        await until(lambda: self._enqueued > number)
        return self._plan.jobs[number].id

    # What is done to workers, best while they send a big layer

    async def _terminate_worker(self, strike: Strike) -> None:
        await self._in_mid_upload(strike.subject)
        await self._fleet.terminate(strike.subject)

    async def _kill_worker(self, strike: Strike) -> None:
        await self._in_mid_upload(strike.subject)
        await self._fleet.kill(strike.subject)

    async def _pause_worker(self, strike: Strike) -> None:
        await self._in_mid_upload(strike.subject)
        await self._fleet.pause(strike.subject, 2 * LEASE_SECONDS + strike.seconds)

    async def _in_mid_upload(self, place: int) -> None:
        """Wait until the worker does, or for a while if it does not."""
        big = {job.id for job in self._plan.jobs if job.big}

        async def uploads() -> bool:
            running = await patiently(lambda: self._store.statuses(JobState.RUNNING))
            name = self._fleet.name_at(place)
            return any(
                job.id in big and job.worker and self._fleet.name_of(job.worker) == name
                for job in running
            )

        with suppress(TimeoutError):
            await becomes(uploads, timeout=MID_UPLOAD_SECONDS)

    # What is done to servers

    async def _kill_redis(self, strike: Strike) -> None:
        async with self._fleet.redis_up:
            self._redis.kill()
            await asyncio.sleep(strike.seconds)
            await asyncio.to_thread(self._redis.start)

    async def _kill_registry(self, strike: Strike) -> None:
        registry = self._evidence.registry
        async with self._registry_up:
            registry.process.kill()
            await asyncio.sleep(strike.seconds)
            registry.process.start()
            answers = f"{registry.url}/v2/"
            await asyncio.to_thread(registry.process.wait_ready, lambda: http_answers(answers))

    # What became of it

    async def _gather(self) -> None:
        evidence = self._evidence
        for job in self._plan.jobs:
            try:
                evidence.statuses[job.id] = await self._store.status(job.id)
            except UnknownJobError:
                continue
            evidence.attempts[job.id] = await self._store.attempts(job.id)
        listed = await self._store.statuses(limit=2 * self._plan.count)
        evidence.known_ids = {status.id for status in listed}
        tags = {tag for job in self._plan.jobs for tag in job.tags}
        for tag in sorted(tags):
            evidence.tags[tag] = await asyncio.to_thread(read_tag, evidence.registry.url, tag)
        with self._redis.client() as redis:

            async def clean() -> bool:
                evidence.leftovers = leftovers(redis, NAMESPACE)
                return not evidence.leftovers

            with suppress(TimeoutError):
                # What a killed worker held frees itself within the lease.
                await becomes(clean, timeout=3 * LEASE_SECONDS)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """As a producer does that is told to try again when Redis is away."""
    while True:
        try:
            return await ask()
        except RedisUnavailableError:
            await asyncio.sleep(POLL_SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    """Within the time limit of the whole run."""
    while not condition():  # noqa: ASYNC110 - what it looks at is changed in many places
        await asyncio.sleep(POLL_SECONDS)


async def run_chaos(plan: Plan, directory: Path) -> Evidence:
    """Run the plan on a Valkey, a registry and workers of its own; all have ended when it returns.

    What became of it is for `invariants` to judge.
    """
    images_directory = directory / "images"
    images_directory.mkdir()
    images = await asyncio.to_thread(write_images, plan, images_directory)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(run_redis(directory / "redis"))
        registry = stack.enter_context(run_registry(directory / "registry"))
        proxy = ChaosProxy(registry.url, plan.network_strikes)
        await stack.enter_async_context(proxy)
        settings = load_settings(redis_url=redis.url, namespace=NAMESPACE)
        queue = await stack.enter_async_context(PushQueue.connect(settings))
        connection = await stack.enter_async_context(await connect(settings))
        env = {**WORKER_ENV, "PUSH_QUEUE_REDIS_URL": redis.url}
        fleet = Fleet(WORKERS, directory, proxy.host, env)
        stack.callback(fleet.close)
        evidence = Evidence(plan, images, fleet, proxy, registry)
        store = JobStore(connection, Keys(NAMESPACE))
        await ChaosRun(evidence, redis, queue, store).run()
        await fleet.stop()
        return evidence
