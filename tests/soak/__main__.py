"""``python -m tests.soak``: JOBS small pushes, evenly over MINUTES; exit status 1 if anything grew.

Two workers, a server of the API with followers, Valkey and a registry run meanwhile. What each
takes in the last fifth of the time is compared with the second fifth, when it was warm.
"""

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from producer import JobState, JobStatus, PushQueue
from push_queue.settings import load_settings
from tests.support.api_server import run_api_server
from tests.support.big_images import write_big_archive
from tests.support.processes import ManagedProcess, free_port
from tests.support.servers import (
    RedisServer,
    Registry,
    run_redis,
    run_registry,
    wait_for_worker,
    worker_process,
)
from tests.support.waiting import becomes

JOBS, MINUTES = 10_000, 30.0
WORKERS = 2
IMAGES = 20
TAGS = 200
LAYERS = (20_000, 30_000)
KEPT_SECONDS = 60
"""Finished jobs expire in the run, so that what is kept of them stops growing."""
SAMPLE_SECONDS = 5.0
FOLLOWERS = 5
MOST_GROWTH, LEAST_BYTES = 0.05, 5 * 1024 * 1024
"""Growth that is noise: a part of it, or some megabytes."""
MOST_FILES = 5
NAMESPACE = "soak"


@dataclass
class Series:
    """One figure, sampled over the time."""

    values: list[float] = field(default_factory=list)

    @property
    def warm(self) -> float:
        fifth = len(self.values) // 5
        return mean(self.values[fifth : 2 * fifth])

    @property
    def last(self) -> float:
        return mean(self.values[-(len(self.values) // 5) :])


@dataclass
class Soak:
    """What runs, and what was seen of it."""

    jobs: int
    seconds: float
    valkey: RedisServer
    registry: Registry
    api_url: str
    processes: Mapping[str, ManagedProcess]
    memory: dict[str, Series] = field(default_factory=dict)
    files: dict[str, Series] = field(default_factory=dict)
    keys: Series = field(default_factory=Series)
    heard: int = 0

    def sample(self, client: Any) -> None:
        """Look at everything once."""
        for name, process in self.processes.items():
            status = Path(f"/proc/{process.pid}/status").read_text()
            resident = int(status.partition("VmRSS:")[2].split()[0]) * 1024
            self.memory.setdefault(name, Series()).values.append(resident)
            open_files = sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
            self.files.setdefault(name, Series()).values.append(open_files)
        self.keys.values.append(client.dbsize())

    def growth(self) -> Iterator[str]:
        """What has grown by more than noise."""
        for name, series in self.memory.items():
            if series.last - series.warm > max(LEAST_BYTES, MOST_GROWTH * series.warm):
                yield f"memory of {name}: {_mb(series.warm)} to {_mb(series.last)}"
        for name, series in self.files.items():
            if series.last - series.warm > MOST_FILES:
                yield f"open files of {name}: {series.warm:.0f} to {series.last:.0f}"
        if self.keys.last > (1 + MOST_GROWTH) * self.keys.warm + IMAGES:
            yield f"keys in Redis: {self.keys.warm:.0f} to {self.keys.last:.0f}"


def main() -> int:
    # Ends like Ctrl-C: servers and workers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    jobs = int(os.environ.get("JOBS") or JOBS)
    seconds = 60 * float(os.environ.get("MINUTES") or MINUTES)
    with (
        TemporaryDirectory(prefix="soak-") as directory,
        _set_up(Path(directory), jobs, seconds) as soak,
    ):
        failed = asyncio.run(_run(soak, Path(directory)))
        found = [*soak.growth(), *failed]
        _report(soak)
    for line in found:
        print(f"wrong: {line}")
    return 1 if found else 0


@contextmanager
def _set_up(directory: Path, jobs: int, seconds: float) -> Iterator[Soak]:
    with ExitStack() as stack:
        valkey = stack.enter_context(run_redis(directory / "redis"))
        registry = stack.enter_context(run_registry(directory / "registry"))
        env = {
            "PUSH_QUEUE_REDIS_URL": valkey.url,
            "PUSH_QUEUE_NAMESPACE": NAMESPACE,
            "PUSH_QUEUE_KEEP_FINISHED_SECONDS": str(KEPT_SECONDS),
        }
        processes = {"valkey": valkey.process}
        if registry.process:
            processes["registry"] = registry.process
        for number in range(WORKERS):
            worker = worker_process(
                directory / f"worker-{number}.log",
                {**env, "PUSH_QUEUE_METRICS_PORT": str(free_port())},
            )
            processes[f"worker {number}"] = stack.enter_context(worker)
            wait_for_worker(worker, valkey.url, NAMESPACE)
        api = stack.enter_context(run_api_server(directory / "serve.log", **env))
        processes["serve"] = api.process
        yield Soak(jobs, seconds, valkey, registry, api.url, processes)


async def _run(soak: Soak, directory: Path) -> list[str]:
    """Enqueue, and look at everything meanwhile. Returns what went wrong with the jobs."""
    settings = load_settings(redis_url=soak.valkey.url, namespace=NAMESPACE)
    settings = settings.model_copy(update={"keep_finished_seconds": KEPT_SECONDS})
    images = [
        write_big_archive(directory / f"{number}.tar", LAYERS, seed=100 * number).path
        for number in range(IMAGES)
    ]
    async with PushQueue.connect(settings) as queue, asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(_watch(soak))]
        watching += [tasks.create_task(_follow(soak)) for _ in range(FOLLOWERS)]
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(soak.jobs):
            await asyncio.sleep(started + number * soak.seconds / soak.jobs - loop.time())
            target = f"{soak.registry.host}/soak/{number % TAGS}:latest"
            await queue.enqueue(images[number % IMAGES], target)
        wrong = [f"{job.id} {job.state}: {job.error}" for job in await _ended(queue)]
        for task in watching:
            task.cancel()
    if not soak.heard:
        wrong.append("the followers heard nothing")
    return wrong


async def _ended(queue: PushQueue) -> list[JobStatus]:
    """Wait until no job is left; those that went wrong."""

    async def all_ended() -> bool:
        unfinished = [state for state in JobState if not state.final]
        return not any([await queue.list(state, limit=1) for state in unfinished])

    await becomes(all_ended)
    bad = [await queue.list(state, limit=100) for state in (JobState.FAILED, JobState.CANCELLED)]
    return [job for page in bad for job in page]


async def _watch(soak: Soak) -> None:
    with soak.valkey.client() as client:
        while True:
            await asyncio.to_thread(soak.sample, client)
            await asyncio.to_thread(_scrape, soak.api_url)
            await asyncio.sleep(SAMPLE_SECONDS)


def _scrape(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        answer.read()


async def _follow(soak: Soak) -> None:
    async with (
        ClientSession(timeout=ClientTimeout(total=None)) as session,
        session.get(f"{soak.api_url}/api/v1/events") as answer,
    ):
        async for line in answer.content:
            soak.heard += line.startswith(b"id:")


def _report(soak: Soak) -> None:
    print(f"{soak.jobs} jobs in {soak.seconds / 60:g} min; warm, and at the end:")
    for name, series in soak.memory.items():
        files = soak.files[name]
        print(
            f"  {name:<10} {_mb(series.warm):>9} {_mb(series.last):>9}"
            f"  open files {files.warm:4.0f} {files.last:4.0f}"
        )
    print(f"  keys in Redis {soak.keys.warm:.0f}, {soak.keys.last:.0f}; events heard {soak.heard}")


def _mb(size: float) -> str:
    return f"{size / 1024 / 1024:.1f} MB"


if __name__ == "__main__":
    raise SystemExit(main())
