"""A chaos run: jobs are enqueued, faults strike, and the outcome is collected."""

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.error import HTTPError

from producer import PushQueue, UnknownJobError, load_settings
from push_queue.redis.connection import connect
from push_queue.redis.keys import Keys
from tests.chaos.archives import write_images, write_next_builds
from tests.chaos.evidence import Evidence
from tests.chaos.fleet import Fleet
from tests.chaos.jobs import Jobs
from tests.chaos.leftovers import leftovers
from tests.chaos.network import ChaosProxy
from tests.chaos.plan import WORKERS, Plan
from tests.chaos.read_back import read_tag
from tests.chaos.settings import LEASE_SECONDS, NAMESPACE, SETTLED_SECONDS
from tests.chaos.strikes import Strikes
from tests.support.processes import POLL_SECONDS
from tests.support.sentinel import SentinelRedis, run_sentinel_redis
from tests.support.servers import run_registry
from tests.support.stores import Stores
from tests.support.waiting import becomes


def longest(plan: Plan) -> float:
    """Seconds after which a run has hung."""
    return 300 + plan.count


class ChaosRun:
    """One run on servers of its own."""

    def __init__(
        self, evidence: Evidence, redis: SentinelRedis, queue: PushQueue, stores: Stores
    ) -> None:
        self._evidence = evidence
        self._plan = evidence.plan
        self._fleet = evidence.fleet
        self._redis = redis
        self._stores = stores
        self._jobs = Jobs(evidence, queue, stores)
        self._strikes = Strikes(evidence, redis, queue, stores, self._jobs)

    async def run(self) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(longest(self._plan)):
                await self._fleet.start()
                await self._do_all()
                await self._all_final()
                # A worker that does not know yet that it lost a job gets time to misbehave.
                await asyncio.sleep(LEASE_SECONDS)
        except TimeoutError:
            self._evidence.timed_out = True
        self._evidence.seconds = time.monotonic() - started
        self._fleet.check()
        await self._gather()

    async def _do_all(self) -> None:
        due = deque(self._plan.strikes)
        async with asyncio.TaskGroup() as running:
            running.create_task(self._jobs.enqueue_all())
            while due or not self._jobs.all_enqueued:
                self._fleet.check()
                await self._jobs.count()
                while due and due[0].after <= self._jobs.ended:
                    running.create_task(self._strikes.strike(due.popleft()))
                await asyncio.sleep(POLL_SECONDS)

    async def _all_final(self) -> None:
        while await self._jobs.count():
            self._fleet.check()
            await asyncio.sleep(POLL_SECONDS)

    async def _gather(self) -> None:
        evidence = self._evidence
        await self._settle()
        for job in self._plan.jobs:
            try:
                evidence.statuses[job.id] = await self._stores.jobs.status(job.id)
            except UnknownJobError:
                continue
            evidence.attempts[job.id] = await self._stores.jobs.attempts(job.id)
        listed = await self._stores.jobs.statuses(limit=2 * self._plan.count)
        evidence.known_ids = {status.id for status in listed}
        tags = {tag for job in self._plan.jobs for tag in job.tags}
        for tag in sorted(tags):
            evidence.tags[tag] = None
            with suppress(HTTPError):  # a tag that cannot be read is as good as none
                evidence.tags[tag] = await asyncio.to_thread(read_tag, evidence.registry.url, tag)

    async def _settle(self) -> None:
        """Wait until nothing is left to be done, as killed workers' leases and writes of tags."""
        with self._redis.primary.client() as redis:

            async def clean() -> bool:
                self._evidence.leftovers = leftovers(redis, NAMESPACE)
                return not self._evidence.leftovers

            with suppress(TimeoutError):
                await becomes(clean, timeout=SETTLED_SECONDS)


async def run_chaos(plan: Plan, directory: Path) -> Evidence:
    """Run the plan on servers and workers of its own; all have ended when it returns.

    `invariants` judges the outcome.
    """
    sources, next_builds = directory / "sources", directory / "next"
    sources.mkdir()
    next_builds.mkdir()
    images = await asyncio.to_thread(write_images, plan, sources)
    later = await asyncio.to_thread(write_next_builds, plan, next_builds)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(run_sentinel_redis(directory / "redis"))
        registry = stack.enter_context(run_registry(directory / "registry"))
        proxy = ChaosProxy(registry.url, plan.network_strikes)
        await stack.enter_async_context(proxy)
        settings = load_settings(redis_url=redis.url, namespace=NAMESPACE)
        queue = await stack.enter_async_context(PushQueue.connect(settings))
        connection = await stack.enter_async_context(await connect(settings))
        fleet = Fleet(WORKERS, directory, redis, (proxy.host, proxy.remote.host), sources)
        stack.callback(fleet.close)
        evidence = Evidence(plan, images, later, fleet, proxy, registry)
        stores = Stores(connection, Keys(NAMESPACE))
        await ChaosRun(evidence, redis, queue, stores).run()
        await fleet.stop()
        evidence.sources = set(sources.iterdir())
        return evidence
