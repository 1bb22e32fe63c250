"""One big image through the library: six layers, one layer, and bytes as they are."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contenders.commands import (
    curl_upload,
    library_push,
    push_command,
    pypi_push,
    skopeo_copy,
)
from ..contenders.pypi_client import NAME as PYPI
from ..contenders.pypi_client import PypiClient
from ..images.image_tar import ImageTar, LayerSpec, extract, six_layer_specs, write_image
from ..model import (
    OURS,
    Benchmark,
    Comparison,
    Contender,
    Measure,
    Reach,
    Scale,
    Values,
)
from ..programs import Command
from ..servers.registry import LocalRegistry
from ..units import GB, MB, size_name

LIBRARY = "library"
"""Ours without the command around it."""

WALL = Measure("wall time", "s")
CPU = Measure("its CPU time", "s")
AGAIN = Measure("pushed again", "s")
STORED = Measure("stored layers", "MB")

IMAGE = "image"
TAG = "latest"

MakeContenders = Callable[[ImageTar, Path], Mapping[str, Contender]]


def small_image(scale: Scale) -> Benchmark:
    size = scale.bytes(MB)
    return _benchmark(
        "one-small-image",
        f"{size_name(size)} in one layer, gzip",
        [LayerSpec(size, seed=30)],
        (Comparison(WALL, LIBRARY), Comparison(WALL, "skopeo"), Comparison(AGAIN, "skopeo")),
        lambda image, folder: {
            OURS: _ours(image, folder, "gzip"),
            LIBRARY: _library(image, "gzip"),
            "skopeo": _skopeo(image, folder),
        },
    )


def six_layers(scale: Scale) -> Benchmark:
    size = scale.bytes(GB)
    return _benchmark(
        "six-layers",
        f"{size_name(size)} docker save, 6 layers, gzip",
        six_layer_specs(size),
        (
            Comparison(WALL, "skopeo", Reach("at most", 0.45)),
            Comparison(WALL, LIBRARY),
            Comparison(WALL, PYPI),
            Comparison(CPU, "skopeo"),
            Comparison(STORED, "skopeo", Reach("at most", 1.03)),
            Comparison(AGAIN, "skopeo", Reach("at most", 0.5, of="value")),
        ),
        lambda image, folder: {
            OURS: _ours(image, folder, "gzip"),
            LIBRARY: _library(image, "gzip"),
            "skopeo": _skopeo(image, folder),
            PYPI: _pypi(image, folder),
        },
    )


def one_layer(scale: Scale) -> Benchmark:
    size = scale.bytes(GB)
    return _benchmark(
        "one-layer",
        f"{size_name(size)} in one layer, gzip",
        [LayerSpec(size, seed=10)],
        (
            Comparison(WALL, "skopeo", Reach("at most", 1 / 2)),
            Comparison(STORED, "skopeo", Reach("at most", 1.03)),
        ),
        lambda image, folder: {
            OURS: _ours(image, folder, "gzip"),
            "skopeo": _skopeo(image, folder),
        },
    )


def keep(scale: Scale) -> Benchmark:
    size = scale.bytes(GB)
    return _benchmark(
        "keep",
        f"{size_name(size)} in one layer, as it is",
        [LayerSpec(size, seed=20)],
        (
            Comparison(WALL, "curl -T"),
            Comparison(WALL, LIBRARY),
            Comparison(WALL, "skopeo"),
            Comparison(WALL, PYPI),
            Comparison(CPU, "curl -T"),
        ),
        lambda image, folder: {
            OURS: _ours(image, folder, "keep"),
            LIBRARY: _library(image, "keep"),
            "curl -T": _curl(image, folder),
            "skopeo": _skopeo(image, folder, keep=True),
            PYPI: _pypi(image, folder),
        },
    )


def _benchmark(
    name: str,
    title: str,
    layers: Sequence[LayerSpec],
    comparisons: tuple[Comparison, ...],
    contenders: MakeContenders,
) -> Benchmark:
    size = sum(layer.size for layer in layers)

    def prepare(folder: Path) -> Mapping[str, Contender]:
        return contenders(write_image(folder / "image.tar", layers), folder)

    # The archive, a layer taken out of it, what the registry stores; PyPI's client holds layers
    # whole, and more than once.
    return Benchmark(name, title, 5 * size, comparisons, prepare)


def _ours(image: ImageTar, folder: Path, compression: str) -> Contender:
    def run(registry: LocalRegistry) -> Values:
        with TemporaryDirectory(prefix="cache-", dir=folder) as cache:
            command = push_command(image.path, registry.target(IMAGE), Path(cache), compression)
            return {**_timed(command, image, registry), AGAIN.name: command.seconds()}

    return run


def _library(image: ImageTar, compression: str) -> Contender:
    def run(registry: LocalRegistry) -> Values:
        command = library_push(image.path, compression, registry.target(IMAGE))
        return _timed(command, image, registry)

    return run


def _skopeo(image: ImageTar, folder: Path, *, keep: bool = False) -> Contender:
    def run(registry: LocalRegistry) -> Values:
        with TemporaryDirectory(prefix="skopeo-", dir=folder) as data_home:
            command = skopeo_copy(image.path, registry.target(IMAGE), Path(data_home), keep=keep)
            return {**_timed(command, image, registry), AGAIN.name: command.seconds()}

    return run


def _pypi(image: ImageTar, folder: Path) -> Contender:
    client = PypiClient(folder / "pypi-client")

    def run(registry: LocalRegistry) -> Values:
        command = pypi_push(client.python, image.path, registry, registry.repository(IMAGE))
        return _timed(command, image, registry)

    return run


def _curl(image: ImageTar, folder: Path) -> Contender:
    blob = image.layers[0]
    layer = folder / "layer.tar"
    extract(blob, image.path, layer)

    def run(registry: LocalRegistry) -> Values:
        cost = curl_upload(layer, blob, registry, registry.repository(IMAGE)).cost()
        return {WALL.name: cost.seconds, CPU.name: cost.cpu_seconds}

    return run


def _timed(command: Command, image: ImageTar, registry: LocalRegistry) -> Values:
    cost = command.cost()
    stored = registry.layer_bytes(registry.repository(IMAGE), TAG, len(image.layers))
    return {WALL.name: cost.seconds, CPU.name: cost.cpu_seconds, STORED.name: stored / MB}
