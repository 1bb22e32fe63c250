"""How far one Redis goes: what a fleet of workers costs it, busy and idle."""

import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

from push_queue.models.job_status import JobState
from push_queue.redis.keys import Keys

from ..contenders.queue_bench import QueueBench, queue_bench
from ..contenders.queues import NAMESPACE, OurQueue
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..programs import POLL_SECONDS
from ..servers.process import keep_waiting, server
from ..units import KB, MB

KEYS = Keys(NAMESPACE)

QUEUED = 100_000
WORKERS = 200
PROCESSES = 2
BUSY_SECONDS = 20.0
IDLE_SECONDS = 10.0
SAMPLE = 100

DONE = Measure("jobs done", "jobs/s")
REDIS_JOB = Measure("Redis' processor for a job", "ms")
MOST_JOBS = Measure("jobs that one core of Redis could do", "jobs/s")
REDIS_IDLE = Measure("Redis' processor for an idle worker", "% of a core")
MOST_IDLE = Measure("idle workers that take half a core", "workers", more=True)
WAITING = Measure("Redis memory of a waiting job", "KB")
FINISHED = Measure("Redis memory of a finished job", "KB")


def fleet(scale: Scale) -> Benchmark:
    queued, workers = scale.count(QUEUED), scale.count(WORKERS)
    return Benchmark(
        "fleet",
        f"{workers} workers that push nothing, {queued} jobs waiting",
        room=1000 * MB,
        comparisons=(
            Comparison(DONE),
            Comparison(REDIS_JOB),
            Comparison(MOST_JOBS, None, Reach("at least", 500, of="value")),
            Comparison(REDIS_IDLE),
            Comparison(MOST_IDLE, None, Reach("at least", 1000, of="value")),
            Comparison(WAITING),
            Comparison(FINISHED, None, Reach("at most", 4, of="value")),
        ),
        prepare=lambda folder: _contenders(folder, queued, workers),
        most_runs=1,
    )


def _contenders(folder: Path, queued: int, workers: int) -> Mapping[str, Contender]:
    async def measured() -> Values:
        async with queue_bench(OurQueue, folder) as bench:
            with ExitStack() as stack:
                await _start(bench, stack, folder, workers)
                idle = await _share(bench, IDLE_SECONDS)
            empty = bench.memory()
            await bench.queue.sleep_all(0, queued)
            full = bench.memory()
            with ExitStack() as stack:
                await _start(bench, stack, folder, workers)
                before, since = bench.waiting(), time.perf_counter()
                busy = await _share(bench, BUSY_SECONDS)
                done = before - bench.waiting()
                seconds = time.perf_counter() - since
                finished = _size_of_finished(bench)
        a_job = busy * seconds / done
        return {
            DONE.name: done / seconds,
            REDIS_JOB.name: 1000 * a_job,
            MOST_JOBS.name: 1 / a_job,
            REDIS_IDLE.name: 100 * idle / workers,
            MOST_IDLE.name: 0.5 * workers / idle,
            WAITING.name: (full - empty) / queued / KB,
            FINISHED.name: finished / KB,
        }

    return {OURS: lambda _: asyncio.run(measured())}


async def _start(bench: QueueBench, stack: ExitStack, folder: Path, workers: int) -> None:
    """Start the workers, in several processes; they end with the stack."""
    each = workers // PROCESSES
    started, since = [], time.monotonic()
    for number in range(PROCESSES):
        log = Path(mkdtemp(dir=folder)) / "workers.log"
        module = "benchmarks.contenders.virtual_workers"
        argv = [sys.executable, "-m", module, bench.redis_url, str(number * each), str(each)]
        started.append((stack.enter_context(server(argv, log)), log))
    for process, log in started:
        while bench.queue.ready_word not in log.read_text():
            keep_waiting(process, log, since)
            await asyncio.sleep(POLL_SECONDS)


async def _share(bench: QueueBench, seconds: float) -> float:
    """How much of a core Redis takes meanwhile."""
    before, since = _processor(bench), time.perf_counter()
    await asyncio.sleep(seconds)
    return (_processor(bench) - before) / (time.perf_counter() - since)


def _processor(bench: QueueBench) -> float:
    """Seconds of the processor that Redis has taken."""
    info = bench.redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _size_of_finished(bench: QueueBench) -> float:
    """Bytes of the keys of a finished job, the mean of some."""
    ids = bench.redis.zrange(KEYS.jobs_in(JobState.SUCCEEDED), 0, SAMPLE - 1)
    keys = [key for one in ids for key in (KEYS.job(one), KEYS.blobs(one), KEYS.attempts(one))]
    sizes = [bench.redis.memory_usage(key, samples=0) or 0 for key in keys]
    return sum(sizes) / max(len(ids), 1)
