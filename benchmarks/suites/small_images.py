"""A hundred small images through the queue, and then all of them once more."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contenders.commands import skopeo_copy
from ..contenders.push_service import PushService, push_service
from ..contenders.queues import Push
from ..images.image_tar import ImageTar, LayerSpec, write_image
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..programs import Command, seconds_together
from ..resources import Processors, cores
from ..servers.registry import LocalRegistry
from ..units import KB, MB, size_name

PUSHED = Measure("pushed", "images/s")
PUSHED_AGAIN = Measure("pushed again", "jobs/s")
BUSY = Measure("processors busy while pushed", "%", more=True)
"""Of worker, Redis and registry together: what is missing is waiting."""

IMAGES = 100
LAYERS = 3
LAYER_BYTES = 10 * KB


def small_images(scale: Scale) -> Benchmark:
    count = scale.count(IMAGES)

    def prepare(folder: Path) -> Mapping[str, Contender]:
        images = [_image(folder, number) for number in range(count)]
        return {OURS: _queue(images, folder), "skopeo": _skopeo(images, folder)}

    return Benchmark(
        "small-images",
        f"{count} images of {LAYERS} layers of {size_name(LAYER_BYTES)}",
        room=500 * MB,
        comparisons=(
            Comparison(PUSHED, "skopeo", Reach("at least", 90, of="value")),
            Comparison(PUSHED_AGAIN, "skopeo", Reach("at least", 100, of="value")),
            Comparison(BUSY, "skopeo", Reach("at least", 90, of="value")),
        ),
        prepare=prepare,
    )


def _image(folder: Path, number: int) -> ImageTar:
    seeds = (1000 + number * LAYERS + layer for layer in range(LAYERS))
    layers = [LayerSpec(LAYER_BYTES, seed) for seed in seeds]
    return write_image(folder / f"image-{number}.tar", layers)


def _queue(images: Sequence[ImageTar], folder: Path) -> Contender:
    async def push_twice(registry: LocalRegistry) -> Values:
        pushes = [Push(image.path, registry.target(image.path.stem)) for image in images]
        async with push_service(folder) as service:
            processors = Processors()
            pushed = await _rate(service, pushes)
            busy = processors.busy_percent()
            return {
                PUSHED.name: pushed,
                PUSHED_AGAIN.name: await _rate(service, pushes),
                BUSY.name: busy,
            }

    return lambda registry: asyncio.run(push_twice(registry))


async def _rate(service: PushService, pushes: Sequence[Push]) -> float:
    return len(pushes) / (await service.push_all(pushes)).seconds


def _skopeo(images: Sequence[ImageTar], folder: Path) -> Contender:
    def run(registry: LocalRegistry) -> Values:
        with TemporaryDirectory(prefix="skopeo-", dir=folder) as data_home:
            commands = [
                skopeo_copy(image.path, registry.target(image.path.stem), Path(data_home))
                for image in images
            ]
            processors = Processors()
            pushed = _together(commands)
            busy = processors.busy_percent()
            return {
                PUSHED.name: pushed,
                PUSHED_AGAIN.name: _together(commands),
                BUSY.name: busy,
            }

    return run


def _together(commands: Sequence[Command]) -> float:
    return len(commands) / seconds_together(commands, at_once=2 * cores())
