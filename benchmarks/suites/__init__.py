"""The suites by name, each with its benchmarks in the order they run in."""

from collections.abc import Callable, Mapping, Sequence

from ..model import Benchmark, Scale
from .beside_arq import backlog, cost, fair_share, latency, rate, recovery, slots
from .fleet import fleet
from .growth import by_layers, by_queued, by_size, by_targets, by_workers
from .http_api import http_api
from .memory import peak_memory
from .shared_base import shared_base
from .single_image import keep, one_layer, six_layers, small_image
from .small_images import small_images
from .sources import sources
from .start_up import start_up

MakeBenchmark = Callable[[Scale], Benchmark]

SUITES: Mapping[str, Sequence[MakeBenchmark]] = {
    "push": (
        start_up,
        small_image,
        six_layers,
        one_layer,
        keep,
        shared_base,
        small_images,
        peak_memory,
    ),
    "queue": (rate, latency, cost, slots, recovery, backlog, fair_share),
    "api": (http_api,),
    "fleet": (fleet,),
    "sources": (sources,),
    "growth": (by_size, by_layers, by_targets, by_workers, by_queued),
}
DEFAULT_SUITES = ("push", "queue", "api")


def select_benchmarks(names: Sequence[str], scale: Scale) -> list[Benchmark]:
    """The benchmarks with these names, or in suites with these names, each once.

    Raises:
        LookupError: a name is neither; says which there are.
    """
    suites = {suite: [make(scale) for make in benchmarks] for suite, benchmarks in SUITES.items()}
    benchmarks = [benchmark for suite in suites.values() for benchmark in suite]
    known = [*suites, *(benchmark.name for benchmark in benchmarks)]
    if unknown := sorted(set(names) - set(known)):
        raise LookupError(f"{', '.join(unknown)}; there are {', '.join(known)}")
    return [
        benchmark
        for suite, members in suites.items()
        for benchmark in members
        if suite in names or benchmark.name in names
    ]
