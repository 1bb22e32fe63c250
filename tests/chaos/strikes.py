"""What each fault of a plan does to workers, servers and jobs."""

import asyncio
import math
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.error import HTTPError

from producer import JobState, PushQueue
from push_queue.models.formats import FIRST_FORMAT
from tests.chaos.evidence import Evidence
from tests.chaos.jobs import Jobs
from tests.chaos.network import HeldWrite
from tests.chaos.patience import patiently
from tests.chaos.plan import Fault, Strike
from tests.chaos.read_back import read_tag
from tests.chaos.settings import LEASE_SECONDS
from tests.chaos.torn_links import mend_links
from tests.support.clocks import clock_off_by
from tests.support.processes import ManagedProcess
from tests.support.sentinel import SentinelRedis
from tests.support.servers import http_answers
from tests.support.stores import Stores
from tests.support.waiting import becomes

Action = Callable[[Strike], Awaitable[None]]

MID_UPLOAD_SECONDS = 3.0
TAG_WRITE_SECONDS = 30.0
OVERTAKEN_SECONDS = 4.0 * LEASE_SECONDS
"""How late a tag write may come, whatever else its strike waits for: less than its worker's request
may take, which is what the watch of a tag reckons with."""
LONG_SECONDS = 8.0
"""Longer than all attempts of a job would last."""


class Strikes:
    """Does what the plan says, one method for each fault."""

    def __init__(
        self,
        evidence: Evidence,
        redis: SentinelRedis,
        queue: PushQueue,
        stores: Stores,
        jobs: Jobs,
    ) -> None:
        self._evidence = evidence
        self._fleet = evidence.fleet
        self._redis = redis
        self._queue = queue
        self._stores = stores
        self._jobs = jobs
        self._registry_up = asyncio.Lock()
        self._remote_up = asyncio.Lock()
        self._big = {job.id for job in evidence.plan.jobs if job.big}
        self._actions: dict[Fault, Action] = {
            Fault.WORKER_TERM: self._terminate_worker,
            Fault.WORKER_KILL: self._kill_worker,
            Fault.WORKER_PAUSE: self._pause_worker,
            Fault.CLOCK_FAST: self._put_clock_off(60),
            Fault.CLOCK_SLOW: self._put_clock_off(-60),
            Fault.ROLL_BACK: self._roll_back,
            Fault.TAG_PAUSED: self._pause_tag_writer,
            Fault.TAG_KILLED: self._kill_tag_writer,
            Fault.TAG_CUT: self._cut_tag_writer,
            Fault.REDIS_KILL: self._restart_redis,
            Fault.REDIS_LOST: self._lose_redis,
            Fault.REDIS_PAUSE: self._pause_redis,
            Fault.REGISTRY_KILL: self._restart_registry,
            Fault.REMOTE_AWAY: self._shut_remote,
            Fault.REMOTE_STORM: self._break_remote,
            Fault.CANCEL: self._cancel,
            Fault.RETRY: self._retry,
            Fault.REPLACE: self._replace_tar,
        }

    async def strike(self, strike: Strike) -> None:
        with suppress(TimeoutError):  # what it waited for did not happen
            await self._actions[strike.fault](strike)
            self._evidence.struck[strike.fault] += 1

    # Jobs

    async def _cancel(self, strike: Strike) -> None:
        job_id = await self._jobs.enqueued(strike.subject)
        self._evidence.cancelled.add(job_id)
        await patiently(lambda: self._queue.cancel(job_id))

    async def _retry(self, strike: Strike) -> None:
        job_id = await self._jobs.enqueued(strike.subject)
        await patiently(lambda: self._queue.wait(job_id))
        await patiently(lambda: self._queue.retry(job_id))

    async def _replace_tar(self, strike: Strike) -> None:
        """As the next build does: with a rename, best while the tar is being pushed."""
        job_id = await self._jobs.enqueued(strike.subject)
        tar = self._evidence.images[job_id].path

        async def has_begun() -> bool:
            status = await patiently(lambda: self._stores.jobs.status(job_id))
            return status.bytes_done > 0 or status.state.final

        await becomes(has_begun, timeout=math.inf)
        self._evidence.replaced.add(job_id)
        new = tar.with_suffix(".new")
        shutil.copyfile(self._evidence.next_builds[job_id].path, new)
        new.replace(tar)

    # Workers, best while they send a big layer

    async def _terminate_worker(self, strike: Strike) -> None:
        await self._in_mid_upload(strike.subject)
        await self._fleet.terminate(strike.subject)

    async def _kill_worker(self, strike: Strike) -> None:
        await self._in_mid_upload(strike.subject)
        await self._fleet.kill(strike.subject)

    async def _pause_worker(self, strike: Strike) -> None:
        await self._in_mid_upload(strike.subject)
        async with self._fleet.paused(strike.subject):
            await asyncio.sleep(2 * LEASE_SECONDS + strike.seconds)

    async def _roll_back(self, strike: Strike) -> None:
        """Jobs with options of this release wait for a worker that knows them meanwhile."""
        await self._fleet.terminate(strike.subject, job_format=FIRST_FORMAT)
        await asyncio.sleep(2 * LEASE_SECONDS + strike.seconds)
        await self._fleet.terminate(strike.subject)

    def _put_clock_off(self, seconds: float) -> Action:
        async def restart(strike: Strike) -> None:
            await self._fleet.terminate(strike.subject, successor=clock_off_by(seconds))

        return restart

    async def _pause_tag_writer(self, strike: Strike) -> None:
        held = await self._detained_tag_write()
        async with self._fleet.paused(self._fleet.place_of(held.worker)):
            await self._let_go_when_overtaken(held)

    async def _kill_tag_writer(self, strike: Strike) -> None:
        held = await self._detained_tag_write()
        async with self._fleet.killed(self._fleet.place_of(held.worker)):
            await self._let_go_when_overtaken(held)

    async def _cut_tag_writer(self, strike: Strike) -> None:
        await self._let_go_when_overtaken(await self._detained_tag_write(cut=True))

    async def _detained_tag_write(self, *, cut: bool = False) -> HeldWrite:
        held = self._evidence.proxy.detain_tag_write(cut=cut)
        try:
            async with asyncio.timeout(TAG_WRITE_SECONDS):
                await held.hold.reached.wait()
        except TimeoutError:
            held.hold.release()
            raise
        # Tags are watched for as long as a write may be on its way, and no longer.
        asyncio.get_running_loop().call_later(OVERTAKEN_SECONDS, held.hold.release)
        return held

    async def _let_go_when_overtaken(self, held: HeldWrite) -> None:
        """Let a write go when another has changed the tag; after a while if none has."""
        seen: set[str | None] = set()

        async def overtaken() -> bool:
            with suppress(HTTPError):  # distribution fails to read a tag while it is written
                seen.add(await self._digest_of(held.tag))
            return len(seen) > 1

        with suppress(TimeoutError):
            await becomes(overtaken, timeout=OVERTAKEN_SECONDS)
        held.hold.release()

    async def _digest_of(self, tag: str) -> str | None:
        async with self._registry_up:
            held = await asyncio.to_thread(read_tag, self._evidence.registry.url, tag)
        return held.digest if held else None

    async def _in_mid_upload(self, place: int) -> None:
        """Wait until the worker does, or for a while if it does not."""

        async def uploads() -> bool:
            running = await patiently(lambda: self._stores.jobs.statuses(JobState.RUNNING))
            name = self._fleet.name_at(place)
            return any(
                job.id in self._big and job.worker and self._fleet.name_of(job.worker) == name
                for job in running
            )

        with suppress(TimeoutError):
            await becomes(uploads, timeout=MID_UPLOAD_SECONDS)

    # Servers

    async def _restart_redis(self, strike: Strike) -> None:
        async with self._fleet.redis_up:
            primary = await asyncio.to_thread(lambda: self._redis.primary)
            primary.kill()
            await asyncio.sleep(strike.seconds)
            await asyncio.to_thread(primary.start)

    async def _lose_redis(self, strike: Strike) -> None:
        async with self._fleet.redis_up:
            await asyncio.to_thread(self._redis.catch_up)
            lost = await asyncio.to_thread(self._redis.fail_over, ManagedProcess.kill)
            await asyncio.sleep(strike.seconds)
            await asyncio.to_thread(lost.start)
            await asyncio.to_thread(self._redis.rejoin, lost)

    async def _pause_redis(self, strike: Strike) -> None:
        async with self._fleet.redis_up:
            await asyncio.to_thread(self._redis.catch_up)
            paused = await asyncio.to_thread(
                self._redis.fail_over, lambda process: process.signal(signal.SIGSTOP)
            )
            await asyncio.sleep(strike.seconds)
            paused.process.signal(signal.SIGCONT)
            await asyncio.to_thread(self._redis.rejoin, paused)

    async def _shut_remote(self, strike: Strike) -> None:
        remote = self._evidence.proxy.remote
        async with self._remote_up:
            remote.shut()
            await asyncio.sleep(LONG_SECONDS + strike.seconds)
            await remote.open()

    async def _break_remote(self, strike: Strike) -> None:
        proxy = self._evidence.proxy
        async with self._remote_up:
            proxy.storm = True
            await asyncio.sleep(LONG_SECONDS + strike.seconds)
            proxy.storm = False

    async def _restart_registry(self, strike: Strike) -> None:
        registry = self._evidence.registry
        process = registry.process
        assert process
        async with self._registry_up:
            process.kill()
            await asyncio.to_thread(mend_links, process.log_path.parent / "storage")
            await asyncio.sleep(strike.seconds)
            process.start()
            answers = f"{registry.url}/v2/"
            await asyncio.to_thread(process.wait_ready, lambda: http_answers(answers))
