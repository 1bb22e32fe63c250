"""The queue without the pushes, beside plain arq: what a job costs, and when it runs."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles

from ..contenders.queue_bench import QueueBench, QueueClass, queue_bench
from ..contenders.queues import PLAIN_ARQ, OurQueue, PlainArq, Push, Span, WorkerSetup
from ..errors import ContenderError
from ..images.image_tar import LayerSpec, write_image
from ..model import Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..servers.redis_commands import counted_commands
from ..servers.registry import LocalRegistry
from ..units import KB, MB

ENQUEUED = Measure("enqueued", "jobs/s")
ENQUEUED_TOGETHER = Measure("enqueued together", "jobs/s")
DONE = Measure("done", "jobs/s")
WAITED_P50 = Measure("enqueue to running, p50", "ms")
WAITED_P99 = Measure("enqueue to running, p99", "ms")
COMMANDS = Measure("Redis commands a job", "sent")
COMMANDS_INSIDE = Measure("the same, with those in scripts", "commands")
FINISHED_BYTES = Measure("Redis memory of a finished job", "KB")
BUSY = Measure("slots busy", "slots", more=True)
WALL = Measure("wall time", "s")
RUNS_AGAIN = Measure("runs again after", "s")
WAITING_BYTES = Measure("Redis memory of a waiting job", "KB")
URGENT_P50 = Measure("urgent job to running, p50", "ms")
URGENT_P99 = Measure("urgent job to running, p99", "ms")
OVERTAKEN = Measure("jobs of the storm before the last of the ten", "jobs")
LISTED = Measure("a page listed", "ms")

RATE_JOBS = 2_000
LATENCY_JOBS = 300
LONGEST_GAP = 0.1
COST_JOBS = 1000
FIRST_JOBS = 20
WORKERS, SLOTS = 10, 20
SLOT_JOBS = 400
SLOT_JOB_SECONDS = 10
RECOVERY_JOB_SECONDS = 3600
ARQ_JOB_SECONDS = 300
LEASE_SECONDS = 15
BACKLOG_JOBS = 100_000
DRAIN_SECONDS = 10
URGENT_JOBS = 50
PAGES = 20
STORM_JOBS = 1000
STORM_JOB_SECONDS = 0.05
OTHER_JOBS = 10

Run = Callable[[QueueBench, LocalRegistry], Awaitable[Values]]


def rate(scale: Scale) -> Benchmark:
    count = scale.count(RATE_JOBS)

    async def run(bench: QueueBench, _: LocalRegistry) -> Values:
        started = time.perf_counter()
        await bench.enqueue([partial(bench.queue.sleep, 0)] * count)
        enqueued = time.perf_counter()
        await bench.queue.sleep_all(0, count)
        together = time.perf_counter()
        await bench.start_workers()
        left, since = bench.waiting(), time.perf_counter()
        await bench.all_ended()
        return {
            ENQUEUED.name: count / (enqueued - started),
            ENQUEUED_TOGETHER.name: count / (together - enqueued),
            DONE.name: left / (time.perf_counter() - since),
        }

    return _benchmark(
        "queue-rate",
        f"twice {count} jobs that do nothing, one worker",
        (
            Comparison(ENQUEUED, PLAIN_ARQ),
            Comparison(ENQUEUED_TOGETHER, PLAIN_ARQ, Reach("at least", 1)),
            Comparison(DONE, PLAIN_ARQ),
        ),
        run,
    )


def latency(scale: Scale) -> Benchmark:
    count = scale.count(LATENCY_JOBS)

    async def run(bench: QueueBench, _: LocalRegistry) -> Values:
        await bench.start_workers()
        rng = random.Random("gaps")
        ids = []
        for _number in range(count):
            ids.append(await bench.queue.sleep(0))
            await asyncio.sleep(rng.uniform(0, LONGEST_GAP))
        await bench.all_ended()
        p50, p99 = _waits([await bench.queue.span(job_id) for job_id in ids])
        return {WAITED_P50.name: p50, WAITED_P99.name: p99}

    return _benchmark(
        "queue-latency",
        f"{count} jobs, now and then, one idle worker",
        (
            Comparison(WAITED_P50, PLAIN_ARQ, Reach("at most", 50, of="value")),
            Comparison(WAITED_P99, PLAIN_ARQ, Reach("at most", 250, of="value")),
        ),
        run,
    )


def cost(scale: Scale) -> Benchmark:
    count = scale.count(COST_JOBS)

    def prepare(folder: Path) -> Mapping[str, Contender]:
        image = write_image(folder / "image.tar", [LayerSpec(10 * KB, seed=300)])

        async def run(bench: QueueBench, registry: LocalRegistry) -> Values:
            await bench.start_workers(setup=WorkerSetup(pushes=True))
            pushes = [
                partial(bench.queue.push, Push(image.path, registry.target("a", str(number))))
                for number in range(FIRST_JOBS + count)
            ]
            # What is there once, however many jobs there are.
            await bench.enqueue(pushes[:FIRST_JOBS])
            await bench.all_ended()
            before = bench.memory()
            with counted_commands(bench.redis_url, bench.redis) as commands:
                ids = await bench.enqueue(pushes[FIRST_JOBS:])
                await bench.all_ended()
            after = bench.memory()
            for job_id in ids:
                await bench.queue.span(job_id)
            return {
                COMMANDS.name: commands.sent / count,
                COMMANDS_INSIDE.name: (commands.sent + commands.in_scripts) / count,
                FINISHED_BYTES.name: (after - before) / count / KB,
            }

        return _contenders(run, folder)

    return Benchmark(
        "queue-cost",
        f"{count} pushes of a small image, one worker",
        room=500 * MB,
        comparisons=(
            Comparison(COMMANDS, PLAIN_ARQ, Reach("at most", 50, of="value")),
            Comparison(COMMANDS_INSIDE, PLAIN_ARQ),
            Comparison(FINISHED_BYTES, PLAIN_ARQ, Reach("at most", 4, of="value")),
        ),
        prepare=prepare,
    )


def slots(scale: Scale) -> Benchmark:
    workers = scale.count(WORKERS)
    all_slots = workers * SLOTS
    count = scale.count(SLOT_JOBS)

    async def run(bench: QueueBench, _: LocalRegistry) -> Values:
        await bench.start_workers(workers, WorkerSetup(slots=SLOTS))
        ids = await bench.enqueue([partial(bench.queue.sleep, SLOT_JOB_SECONDS)] * count)
        await bench.all_ended()
        spans = [await bench.queue.span(job_id) for job_id in ids]
        wall = max(span.finished for span in spans) - min(span.enqueued for span in spans)
        return {BUSY.name: _most_at_once(spans), WALL.name: wall}

    return _benchmark(
        "queue-slots",
        f"{count} jobs of {SLOT_JOB_SECONDS} s, {workers} workers of {SLOTS} slots",
        (
            Comparison(BUSY, PLAIN_ARQ, Reach("at least", min(all_slots, count), of="value")),
            Comparison(WALL, PLAIN_ARQ),
        ),
        run,
        most_runs=1,
    )


def recovery(scale: Scale) -> Benchmark:
    setup = WorkerSetup(job_seconds=scale.count(ARQ_JOB_SECONDS))

    async def run(bench: QueueBench, _: LocalRegistry) -> Values:
        (doomed,) = await bench.start_workers(setup=setup)
        job_id = await bench.queue.sleep(RECOVERY_JOB_SECONDS)
        await bench.until(lambda: bench.starts(job_id) == 1)
        (survivor,) = await bench.start_workers(setup=setup)
        doomed.kill()
        killed = time.perf_counter()
        await bench.until(lambda: bench.starts(job_id) == 2)
        seconds = time.perf_counter() - killed
        survivor.kill()
        return {RUNS_AGAIN.name: seconds}

    return _benchmark(
        "queue-recovery",
        f"kill -9 of a worker in mid-job; arq gives up a job after {setup.job_seconds} s",
        (Comparison(RUNS_AGAIN, PLAIN_ARQ, Reach("at most", LEASE_SECONDS + 2, of="value")),),
        run,
        most_runs=1,
    )


def backlog(scale: Scale) -> Benchmark:
    count = scale.count(BACKLOG_JOBS)

    async def run(bench: QueueBench, _: LocalRegistry) -> Values:
        before, started = bench.memory(), time.perf_counter()
        await bench.enqueue([partial(bench.queue.sleep, 0)] * count)
        enqueued = time.perf_counter()
        values = {
            ENQUEUED.name: count / (enqueued - started),
            WAITING_BYTES.name: (bench.memory() - before) / count / KB,
        }
        if isinstance(bench.queue, OurQueue):
            values[LISTED.name] = await _seconds_a_page(bench.queue) * 1000
        await bench.start_workers()
        since, waiting = time.perf_counter(), bench.waiting()
        await asyncio.sleep(DRAIN_SECONDS)
        values[DONE.name] = (waiting - bench.waiting()) / (time.perf_counter() - since)
        urgent = [await _run_urgent(bench) for _ in range(scale.count(URGENT_JOBS))]
        values[URGENT_P50.name], values[URGENT_P99.name] = _waits(urgent)
        return values

    return _benchmark(
        "queue-backlog",
        f"{count} jobs waiting, one worker",
        (
            Comparison(ENQUEUED, PLAIN_ARQ),
            Comparison(WAITING_BYTES, PLAIN_ARQ),
            Comparison(DONE, PLAIN_ARQ),
            Comparison(URGENT_P50, PLAIN_ARQ, Reach("at most", 50, of="value")),
            Comparison(URGENT_P99, PLAIN_ARQ, Reach("at most", 250, of="value")),
            # arq can only read the whole queue, by a request for each job.
            Comparison(LISTED),
        ),
        run,
        most_runs=1,
    )


def fair_share(scale: Scale) -> Benchmark:
    count = scale.count(STORM_JOBS)

    async def run(bench: QueueBench, _: LocalRegistry) -> Values:
        def jobs(team: str, number: int) -> list[Callable[[], Awaitable[str]]]:
            return [partial(bench.queue.sleep, STORM_JOB_SECONDS, team=team)] * number

        storm = await bench.enqueue(jobs("storm", count))
        others = await bench.enqueue(jobs("other", OTHER_JOBS))
        await bench.start_workers()
        await bench.all_ended()
        last = max([(await bench.queue.span(job_id)).started for job_id in others])
        starts = [(await bench.queue.span(job_id)).started for job_id in storm]
        return {OVERTAKEN.name: sum(start < last for start in starts)}

    return _benchmark(
        "queue-fair-share",
        f"{count} jobs of one team, then {OTHER_JOBS} of another, one worker",
        (Comparison(OVERTAKEN, PLAIN_ARQ, Reach("at most", 5 * OTHER_JOBS, of="value")),),
        run,
        most_runs=1,
    )


async def _run_urgent(bench: QueueBench) -> Span:
    job_id = await bench.queue.sleep(0, urgent=True)
    await bench.until(lambda: bench.ended(job_id))
    return await bench.queue.span(job_id)


async def _seconds_a_page(queue: OurQueue) -> float:
    seconds = []
    for _ in range(PAGES):
        started = time.perf_counter()
        if not await queue.list_page():
            raise ContenderError("the page is empty")
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _waits(spans: list[Span]) -> tuple[float, float]:
    """Milliseconds from being enqueued to running: the median, and the 99th percentile."""
    waits = [(span.started - span.enqueued) * 1000 for span in spans]
    return median(waits), quantiles(waits, n=100, method="inclusive")[-1]


def _most_at_once(spans: list[Span]) -> int:
    """The most jobs that ran at the same time."""
    starts = [(span.started, 1) for span in spans]
    ends = [(span.finished, -1) for span in spans]
    return max(accumulate(change for _, change in sorted(starts + ends)))


def _benchmark(
    name: str,
    title: str,
    comparisons: tuple[Comparison, ...],
    run: Run,
    most_runs: int | None = None,
) -> Benchmark:
    return Benchmark(
        name,
        title,
        room=500 * MB,
        comparisons=comparisons,
        prepare=lambda folder: _contenders(run, folder),
        most_runs=most_runs,
    )


def _contenders(run: Run, folder: Path) -> Mapping[str, Contender]:
    def contender(queue_class: QueueClass) -> Contender:
        async def measured(registry: LocalRegistry) -> Values:
            async with queue_bench(queue_class, folder) as bench:
                return await run(bench, registry)

        return lambda registry: asyncio.run(measured(registry))

    return {queue_class.name: contender(queue_class) for queue_class in (OurQueue, PlainArq)}
