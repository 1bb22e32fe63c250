"""One image from a file, and from servers that have its tar."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contenders.commands import push_command
from ..images.image_tar import ImageTar, six_layer_specs, write_image
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Scale, Values
from ..servers.certificate import write_certificate
from ..servers.file_server import file_server
from ..servers.registry import LocalRegistry
from ..units import GB, MB, size_name

WALL = Measure("wall time", "s")
CPU = Measure("its CPU time", "s")
PEAK = Measure("peak memory", "MB")

BUCKET = "bucket"
TAR = "image.tar"

Place = tuple[str | Path, Mapping[str, str]]
"""Where the tar is, and the environment of a push that may read it."""
Serve = Callable[[], AbstractContextManager[Place]]


def sources(scale: Scale) -> Benchmark:
    size = scale.bytes(GB)

    def prepare(folder: Path) -> Mapping[str, Contender]:
        bucket = folder / BUCKET
        bucket.mkdir()
        image = write_image(bucket / TAR, six_layer_specs(size))
        return {
            OURS: _push(image, folder, lambda: _file(image)),
            "from http": _push(image, folder, lambda: _http(folder)),
            "from https": _push(image, folder, lambda: _https(folder)),
            "from s3": _push(image, folder, lambda: _s3(folder)),
        }

    peers = ("from http", "from https", "from s3")
    return Benchmark(
        "sources",
        f"{size_name(size)} docker save from a file, and from a server of tars",
        room=3 * size,
        comparisons=tuple(
            Comparison(measure, peer) for measure in (WALL, CPU, PEAK) for peer in peers
        ),
        prepare=prepare,
    )


@contextmanager
def _file(image: ImageTar) -> Iterator[Place]:
    yield image.path, {}


@contextmanager
def _http(folder: Path) -> Iterator[Place]:
    with file_server(folder) as host:
        yield f"http://{host}/{BUCKET}/{TAR}", {"PUSH_QUEUE_SOURCE_URLS": f"http://{host}/"}


@contextmanager
def _https(folder: Path) -> Iterator[Place]:
    certificate, key = write_certificate(folder)
    with file_server(folder, certificate, key) as host, TemporaryDirectory(dir=folder) as certs:
        trusted = Path(certs) / host
        trusted.mkdir()
        (trusted / "ca.crt").write_bytes(certificate.read_bytes())
        yield (
            f"https://{host}/{BUCKET}/{TAR}",
            {
                "PUSH_QUEUE_SOURCE_URLS": f"https://{host}/",
                "PUSH_QUEUE_REGISTRY_CERTS_DIR": certs,
            },
        )


@contextmanager
def _s3(folder: Path) -> Iterator[Place]:
    """What a link costs; nobody looks at its signature."""
    with file_server(folder) as host:
        yield (
            f"s3://{BUCKET}/{TAR}",
            {
                "PUSH_QUEUE_SOURCE_URLS": f"s3://{BUCKET}/",
                "AWS_ENDPOINT_URL": f"http://{host}",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
            },
        )


def _push(image: ImageTar, folder: Path, serve: Serve) -> Contender:
    def run(registry: LocalRegistry) -> Values:
        with serve() as (source, environment), TemporaryDirectory(dir=folder) as cache:
            command = push_command(source, registry.target("image"), Path(cache), **environment)
            cost = command.cost()
            registry.layer_bytes(registry.repository("image"), "latest", len(image.layers))
            again = push_command(
                source, registry.target("again"), Path(cache), "zstd", **environment
            )
            peak = again.peak_memory()
        return {WALL.name: cost.seconds, CPU.name: cost.cpu_seconds, PEAK.name: peak / MB}

    return run
