"""The benchmarks of the suite, in the order they run in."""

from ..model import Benchmark, Scale
from .memory import peak_memory
from .queue import backlog, cost, latency, rate, recovery, slots
from .shared_base import shared_base
from .single_image import keep, one_layer, six_layers
from .small_images import small_images

QUEUE_BENCHMARKS = (rate, latency, cost, slots, recovery, backlog)


def all_benchmarks(scale: Scale) -> list[Benchmark]:
    benchmarks = (six_layers, one_layer, keep, shared_base, small_images, peak_memory)
    return [make(scale) for make in (*benchmarks, *QUEUE_BENCHMARKS)]
