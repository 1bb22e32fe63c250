"""The workers of a chaos run: processes that are stopped, killed, paused, and replaced."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from tests.chaos.network import sign_in
from tests.chaos.settings import NAMESPACE, WORKER_ENV
from tests.support.processes import HANG_SECONDS, ManagedProcess
from tests.support.sentinel import SentinelRedis
from tests.support.servers import wait_for_worker, worker_process

NO_REDIS = 3
"""Exit code of a worker that is told to stop while Redis is down: it has no one to tell."""


@dataclass
class WorkerProcess:
    """One process. `name` is what it signs in with at the proxy, and its log's."""

    name: str
    process: ManagedProcess
    ended_by_us: bool = False


class Fleet:
    """A fixed number of places, each with one worker process after the other."""

    def __init__(
        self,
        size: int,
        directory: Path,
        redis: SentinelRedis,
        hosts: Sequence[str],
        sources: Path,
    ) -> None:
        self.all: list[WorkerProcess] = []
        self.complaints: list[tuple[str, str]] = []
        """Of which worker, and what."""
        self._places: dict[int, WorkerProcess] = {}
        self._locks = [asyncio.Lock() for _ in range(size)]
        self._directory = directory
        self._redis = redis
        self._hosts = hosts
        self._env = {
            **WORKER_ENV,
            "PUSH_QUEUE_REDIS_URL": redis.url,
            "PUSH_QUEUE_SOURCE_ROOTS": str(sources),
        }
        self.redis_up = asyncio.Lock()
        """Held while Redis is down, and while a worker starts: it needs Redis for that."""

    def name_of(self, worker_id: str) -> str:
        """The name of the process that calls itself so in Redis: `host-pid-random`."""
        pid = int(worker_id.split("-")[-2])
        return next((w.name for w in reversed(self.all) if w.process.pid == pid), worker_id)

    def place_of(self, name: str) -> int:
        """The place that this process is in, or was."""
        return int(name.split("-")[1])

    def name_at(self, place: int) -> str:
        """The name of the process that is in this place now."""
        return self._places[place].name

    async def start(self) -> None:
        await self._start(*range(len(self._locks)))

    async def terminate(
        self,
        place: int,
        *,
        job_format: int | None = None,
        successor: Mapping[str, str] | None = None,
    ) -> None:
        """`successor` is environment of the one that takes the place; `job_format` its release."""
        async with self._locks[place]:
            await self._stop(self._take(place))
            await self._start(place, job_format=job_format, extra=successor)

    async def kill(self, place: int) -> None:
        async with self.killed(place):
            pass

    @asynccontextmanager
    async def killed(self, place: int) -> AsyncIterator[None]:
        """Its successor starts afterwards, which may take long on a busy machine."""
        async with self._locks[place]:
            await asyncio.to_thread(self._take(place).process.kill)
            yield
            await self._start(place)

    @asynccontextmanager
    async def paused(self, place: int) -> AsyncIterator[None]:
        """As a machine does that swaps, or whose network is gone: it comes back and goes on."""
        async with self._locks[place]:
            process = self._places[place].process
            process.signal(signal.SIGSTOP)
            try:
                yield
            finally:
                process.signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Tell all to stop, at the end."""
        running = list(self._places.values())
        for worker in running:
            worker.ended_by_us = True
        await asyncio.gather(*map(self._stop, running))

    def check(self) -> None:
        """Report every worker that has ended by itself."""
        for worker in self.all:
            code = worker.process.returncode
            if code is not None and not worker.ended_by_us:
                worker.ended_by_us = True  # once is enough
                self.complaints.append((worker.name, f"ended by itself, exit code {code}"))

    def close(self) -> None:
        """End whatever still runs."""
        for worker in self.all:
            if worker.process.returncode is None:
                worker.process.kill()

    def _take(self, place: int) -> WorkerProcess:
        self.check()
        worker = self._places[place]
        worker.ended_by_us = True
        return worker

    async def _stop(self, worker: WorkerProcess) -> None:
        try:
            code = await asyncio.to_thread(worker.process.terminate)
        except TimeoutExpired:
            self.complaints.append((worker.name, f"did not stop within {HANG_SECONDS} s"))
            worker.process.kill()
        else:
            if code not in (0, NO_REDIS):
                self.complaints.append((worker.name, f"stopped with exit code {code}"))

    async def _start(
        self,
        *places: int,
        job_format: int | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        async with self.redis_up:
            await asyncio.gather(
                *(self._ready(self._launch(place, extra or {}, job_format)) for place in places)
            )

    def _launch(
        self, place: int, extra: Mapping[str, str], job_format: int | None
    ) -> WorkerProcess:
        name = f"worker-{place}-{len(self.all)}"
        env = {
            **self._env,
            "PUSH_QUEUE_REGISTRY_AUTH": sign_in(name, *self._hosts),
            **extra,
        }
        log = self._directory / f"{name}.log"
        worker = WorkerProcess(name, worker_process(log, env, job_format=job_format))
        worker.process.start()
        self.all.append(worker)
        self._places[place] = worker
        return worker

    async def _ready(self, worker: WorkerProcess) -> None:
        url = await asyncio.to_thread(lambda: self._redis.primary.url)
        await asyncio.to_thread(wait_for_worker, worker.process, url, NAMESPACE)
