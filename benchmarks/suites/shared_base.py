"""Ten images on one base, enqueued at once; skopeo gets them in its best order."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contenders.commands import skopeo_copy
from ..contenders.push_service import push_service
from ..contenders.queues import Push
from ..images.image_tar import ImageTar, LayerSpec, write_image
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..programs import seconds_together
from ..servers.registry import LocalRegistry
from ..units import MB, size_name

WALL = Measure("wall time", "s")
BASE_SENT = Measure("base sent", "times")

IMAGES = 10
BASE_BYTES = 150 * MB
OWN_BYTES = 10 * MB


def shared_base(scale: Scale) -> Benchmark:
    base, own = scale.bytes(BASE_BYTES), scale.bytes(OWN_BYTES)

    def prepare(folder: Path) -> Mapping[str, Contender]:
        images = [
            write_image(
                folder / f"image-{number}.tar",
                [LayerSpec(base, seed=100), LayerSpec(own, seed=101 + number)],
            )
            for number in range(IMAGES)
        ]
        return {OURS: _queue(images, folder), "skopeo": _skopeo(images, folder)}

    return Benchmark(
        "shared-base",
        f"{IMAGES} images on a {size_name(base)} base, {size_name(own)} of their own, at once",
        room=2 * IMAGES * (base + own),
        comparisons=(
            Comparison(WALL, "skopeo", Reach("at most", 1 / 3)),
            Comparison(BASE_SENT, None, Reach("at most", 1, of="value")),
        ),
        prepare=prepare,
    )


def _queue(images: Sequence[ImageTar], folder: Path) -> Contender:
    async def push_all(registry: LocalRegistry) -> Values:
        async with push_service(folder) as service:
            pushed = await service.push_all(
                [Push(image.path, registry.target(image.path.stem)) for image in images]
            )
        base = images[0].layers[0].digest
        sent = sum(blob.how == "uploaded" for blob in pushed.blobs if base in blob.digest)
        return {WALL.name: pushed.seconds, BASE_SENT.name: sent}

    return lambda registry: asyncio.run(push_all(registry))


def _skopeo(images: Sequence[ImageTar], folder: Path) -> Contender:
    """One image first, and then the others, for which skopeo mounts the base that it then knows."""

    def run(registry: LocalRegistry) -> Values:
        with TemporaryDirectory(prefix="skopeo-", dir=folder) as data_home:
            commands = [
                skopeo_copy(image.path, registry.target(image.path.stem), Path(data_home))
                for image in images
            ]
            first = commands[0].seconds()
            return {WALL.name: first + seconds_together(commands[1:], at_once=len(images))}

    return run
