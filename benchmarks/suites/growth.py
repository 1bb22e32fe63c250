"""How cost grows with the work: size, layers, targets, workers, jobs waiting."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contenders.commands import library_push, skopeo_copy
from ..contenders.queue_bench import QueueBench, QueueClass, queue_bench
from ..contenders.queues import PLAIN_ARQ, OurQueue, PlainArq
from ..images.image_tar import ImageTar, LayerSpec, write_image
from ..model import (
    OURS,
    Benchmark,
    Comparison,
    Contender,
    Measure,
    Reach,
    Scale,
    Series,
    Values,
)
from ..servers.registry import LocalRegistry
from ..units import GB, MB, size_name

SIZES = (10 * MB, 100 * MB, 1 * GB, 10 * GB)
LAYERS = (1, 5, 12, 40, 120)
LAYER_BYTES = 2 * MB
TARGETS = (1, 2, 5, 10, 20)
TARGET_BYTES = 20 * MB
WORKERS = (1, 2, 4, 8)
JOBS_A_WORKER = 200
QUEUED = (100, 1_000, 10_000, 100_000)

IN_STEP = 1.2
"""How much the cost of a unit may grow in the last step; less is noise."""

WALL = Measure("wall time", "s")
ENQUEUED = Measure("enqueued in", "s")
REDIS_MEMORY = Measure("Redis memory", "MB")


@dataclass(frozen=True)
class PushWork:
    """One point of a series of pushes: an image, and how many repositories it goes to."""

    layers: Sequence[LayerSpec]
    targets: int = 1

    @property
    def bytes(self) -> int:
        return self.targets * sum(layer.size for layer in self.layers)


MeasurePoint = Callable[[QueueBench, int], Awaitable[Mapping[Measure, float]]]
"""What a queue costs at one point of its series."""


def by_size(scale: Scale) -> Benchmark:
    points = scale.points(SIZES)
    works = {size: PushWork([LayerSpec(size, seed=size)]) for size in points}
    return _pushes("growth-size", "One layer, gzip", Series(WALL, "size", points, size_name), works)


def by_layers(scale: Scale) -> Benchmark:
    points = scale.points(LAYERS)
    works = {
        count: PushWork([LayerSpec(LAYER_BYTES, seed=1000 * count + n) for n in range(count)])
        for count in points
    }
    title = f"Layers of {size_name(LAYER_BYTES)}, gzip"
    return _pushes("growth-layers", title, Series(WALL, "layers", points), works)


def by_targets(scale: Scale) -> Benchmark:
    points = scale.points(TARGETS)
    works = {
        count: PushWork([LayerSpec(TARGET_BYTES, seed=count)], targets=count) for count in points
    }
    title = f"{size_name(TARGET_BYTES)} to several repositories, gzip"
    return _pushes("growth-targets", title, Series(WALL, "targets", points), works)


def by_workers(scale: Scale) -> Benchmark:
    async def measure(bench: QueueBench, workers: int) -> Mapping[Measure, float]:
        await bench.start_workers(workers)
        started = time.perf_counter()
        await bench.enqueue([partial(bench.queue.sleep, 0)] * (JOBS_A_WORKER * workers))
        await bench.all_ended()
        return {WALL: time.perf_counter() - started}

    series = Series(WALL, "workers", scale.points(WORKERS))
    return _queues(
        "growth-workers", f"{JOBS_A_WORKER} jobs a worker that do nothing", (series,), measure
    )


def by_queued(scale: Scale) -> Benchmark:
    async def measure(bench: QueueBench, jobs: int) -> Mapping[Measure, float]:
        before, started = bench.memory(), time.perf_counter()
        await bench.enqueue([partial(bench.queue.sleep, 0)] * jobs)
        seconds = time.perf_counter() - started
        return {ENQUEUED: seconds, REDIS_MEMORY: (bench.memory() - before) / MB}

    points = scale.points(QUEUED)
    series = tuple(Series(each, "jobs queued", points) for each in (ENQUEUED, REDIS_MEMORY))
    return _queues("growth-queued", "Jobs queued, no worker", series, measure)


def _pushes(name: str, title: str, series: Series, works: Mapping[int, PushWork]) -> Benchmark:
    def prepare(folder: Path) -> Mapping[str, Contender]:
        images = {
            point: write_image(folder / f"image-{point}.tar", work.layers)
            for point, work in works.items()
        }

        def contender(push: Callable[[ImageTar, Sequence[str]], float]) -> Contender:
            def run(registry: LocalRegistry) -> Values:
                return _values(
                    series,
                    {
                        point: push(image, _targets(registry, image, works[point].targets))
                        for point, image in images.items()
                    },
                )

            return run

        return {OURS: contender(_library), "skopeo": contender(partial(_skopeo, folder))}

    return Benchmark(
        name,
        title,
        # The archives, and what the registry stores.
        room=2 * sum(work.bytes for work in works.values()),
        comparisons=_comparisons(series, "skopeo"),
        prepare=prepare,
        series=(series,),
    )


def _targets(registry: LocalRegistry, image: ImageTar, count: int) -> list[str]:
    return [registry.target(f"{image.path.stem}-{number}") for number in range(count)]


def _library(image: ImageTar, targets: Sequence[str]) -> float:
    return library_push(image.path, "gzip", *targets).seconds()


def _skopeo(folder: Path, image: ImageTar, targets: Sequence[str]) -> float:
    """One target after the other; the others use what is known about blobs from the first."""
    with TemporaryDirectory(prefix="skopeo-", dir=folder) as data_home:
        return sum(skopeo_copy(image.path, each, Path(data_home)).seconds() for each in targets)


def _queues(name: str, title: str, series: tuple[Series, ...], measure: MeasurePoint) -> Benchmark:
    def prepare(folder: Path) -> Mapping[str, Contender]:
        return {each.name: _queue(each, folder, series, measure) for each in (OurQueue, PlainArq)}

    return Benchmark(
        name,
        title,
        room=1 * GB,
        comparisons=tuple(row for each in series for row in _comparisons(each, PLAIN_ARQ)),
        prepare=prepare,
        series=series,
    )


def _queue(
    queue_class: QueueClass, folder: Path, series: tuple[Series, ...], measure: MeasurePoint
) -> Contender:
    async def measured(point: int) -> Mapping[Measure, float]:
        async with queue_bench(queue_class, folder) as bench:
            return await measure(bench, point)

    def run(_: LocalRegistry) -> Values:
        costs = {point: asyncio.run(measured(point)) for point in series[0].points}
        return {
            name: value
            for each in series
            for name, value in _values(
                each, {point: cost[each.measure] for point, cost in costs.items()}
            ).items()
        }

    return run


def _comparisons(series: Series, peer: str) -> tuple[Comparison, ...]:
    return (
        *(Comparison(series.at(point), peer) for point in series.points),
        Comparison(series.last_step, peer, Reach("at most", IN_STEP, of="value")),
    )


def _values(series: Series, costs: Mapping[int, float]) -> Values:
    before, last = series.points[-2:]
    step = (costs[last] / last) / (costs[before] / before)
    values = {series.at(point).name: cost for point, cost in costs.items()}
    return {**values, series.last_step.name: step}
