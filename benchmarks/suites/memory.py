"""Peak memory of a worker that pushes one layer, by the layer's size."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contenders.commands import skopeo_copy
from ..contenders.push_service import push_service
from ..contenders.queues import Push
from ..images.image_tar import ImageTar, LayerSpec, write_image
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..servers.registry import LocalRegistry
from ..units import GB, MB, size_name

LAYER_BYTES = (100 * MB, 1 * GB, 5 * GB)
GROWTH = Measure("peak, growth", "times")

Images = Mapping[int, ImageTar]
"""By the size of the layer."""


def peak_memory(scale: Scale) -> Benchmark:
    sizes = [scale.bytes(size) for size in LAYER_BYTES]

    def prepare(folder: Path) -> Mapping[str, Contender]:
        images = {
            size: write_image(folder / f"image-{size}.tar", [LayerSpec(size, seed=200)])
            for size in sizes
        }
        return {OURS: _queue(images), "skopeo": _skopeo(images)}

    return Benchmark(
        "memory",
        "Peak memory, one layer",
        room=sum(sizes),
        disk=sum(sizes),
        comparisons=(
            *(
                Comparison(_peak(size), "skopeo", Reach("at most", 150, of="value"))
                for size in sizes
            ),
            Comparison(GROWTH, None, Reach("at most", 1.1, of="value")),
        ),
        prepare=prepare,
        most_runs=1,
    )


def _peak(size: int) -> Measure:
    return Measure(f"peak, {size_name(size)}", "MB")


def _queue(images: Images) -> Contender:
    async def peak(image: ImageTar, registry: LocalRegistry) -> int:
        # A worker for each, as the peak of a process does not go down.
        with TemporaryDirectory() as folder:
            async with push_service(Path(folder)) as service:
                await service.push_all([Push(image.path, registry.target(image.path.stem))])
                return service.peak_memory()

    def run(registry: LocalRegistry) -> Values:
        return _values({size: asyncio.run(peak(image, registry)) for size, image in images.items()})

    return run


def _skopeo(images: Images) -> Contender:
    def run(registry: LocalRegistry) -> Values:
        with TemporaryDirectory(prefix="skopeo-") as data_home:
            return _values(
                {
                    size: skopeo_copy(
                        image.path, registry.target(image.path.stem), Path(data_home)
                    ).peak_memory()
                    for size, image in images.items()
                }
            )

    return run


def _values(peaks: Mapping[int, int]) -> Values:
    growth = peaks[max(peaks)] / peaks[min(peaks)]
    return {**{_peak(size).name: peak / MB for size, peak in peaks.items()}, GROWTH.name: growth}
