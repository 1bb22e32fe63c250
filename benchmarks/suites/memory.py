"""Peak memory of a worker that pushes one layer, by the layer's size."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ..commands import skopeo_copy
from ..images import ImageTar, LayerSpec, write_image
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..queue_service import Push, queue_service
from ..registry import LocalRegistry
from ..units import GB, MB, size_name

LAYER_BYTES = (100 * MB, 1 * GB, 5 * GB)
GROWTH = Measure("peak, largest to smallest", "×")


def peak_memory(scale: Scale) -> Benchmark:
    sizes = [scale.bytes(size) for size in LAYER_BYTES]

    def prepare(folder: Path) -> Mapping[str, Contender]:
        images = [
            write_image(folder / f"image-{number}.tar", [LayerSpec(size, seed=200 + number)])
            for number, size in enumerate(sizes)
        ]
        measures = [_measure(size) for size in sizes]
        return {OURS: _queue(images, folder), "skopeo": _skopeo(images, folder)}

    return Benchmark(
        "memory",
        "Peak memory of a worker",
        room=2 * sum(sizes),
        comparisons=(
            *(
                Comparison(_measure(size), "skopeo", Reach("at most", 150, of="value"))
                for size in sizes
            ),
            Comparison(GROWTH, "skopeo", Reach("at most", 1.1, of="value")),
        ),
        prepare=prepare,
        most_runs=1,
    )
