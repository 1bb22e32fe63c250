"""The HTTP API under load: jobs that arrive at a fixed rate, beside streams of their events."""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from ..contenders.api_load import Load, enqueue_at, follow, percentile
from ..model import OURS, Benchmark, Comparison, Contender, Measure, Reach, Scale, Values
from ..programs import POLL_SECONDS
from ..resources import resident_memory
from ..servers.process import free_port, keep_waiting, server
from ..servers.registry import LocalRegistry
from ..servers.valkey import valkey
from ..units import MB

RATE = 1000
SECONDS = 30
STREAMS = 200

ENQUEUED = Measure("enqueued over HTTP", "jobs/s")
REFUSED = Measure("refused", "jobs")
ANSWERED_P50 = Measure("answered, p50", "ms")
ANSWERED_P99 = Measure("answered, p99", "ms")
GROWN = Measure("memory of the server, growth", "MB")


def http_api(scale: Scale) -> Benchmark:
    count = scale.count(RATE * SECONDS)
    return Benchmark(
        "http-api",
        f"{count} jobs at {RATE} a second, {STREAMS} streams of all events",
        room=500 * MB,
        comparisons=(
            Comparison(ENQUEUED, None, Reach("at least", 0.99 * RATE, of="value")),
            Comparison(REFUSED, None, Reach("at most", 0, of="value")),
            Comparison(ANSWERED_P50),
            Comparison(ANSWERED_P99),
            Comparison(GROWN, None, Reach("at most", 20, of="value")),
        ),
        prepare=lambda folder: _contenders(folder, count),
        most_runs=1,
    )


def _contenders(folder: Path, count: int) -> Mapping[str, Contender]:
    tar = folder / "app.tar"
    tar.write_bytes(b"never read, as there is no worker")

    def run(_: LocalRegistry) -> Values:
        with (
            TemporaryDirectory(dir=folder) as own,
            valkey(Path(own)) as redis_url,
            _serving(Path(own), redis_url) as (port, pid),
        ):
            before = resident_memory(pid)
            load = asyncio.run(_load(port, tar, count))
            grown = resident_memory(pid) - before
        return {
            ENQUEUED.name: len(load.latencies) / load.seconds,
            REFUSED.name: load.refused,
            ANSWERED_P50.name: 1000 * percentile(load.latencies, 50),
            ANSWERED_P99.name: 1000 * percentile(load.latencies, 99),
            GROWN.name: grown / MB,
        }

    return {OURS: run}


async def _load(port: int, tar: Path, count: int) -> Load:
    job = {"source": str(tar), "targets": ["localhost:1/team/app:1"]}
    streams = await follow(port, STREAMS, count)
    load = await enqueue_at(port, job, rate=RATE, count=count)
    await asyncio.gather(*streams)
    return load


@contextmanager
def _serving(folder: Path, redis_url: str) -> Iterator[tuple[int, int]]:
    """A server of the API: its port and its process id."""
    port, log = free_port(), folder / "serve.log"
    argv = [sys.executable, "-m", "producer", "serve", "--port", str(port)]
    with server(argv, log, PUSH_QUEUE_REDIS_URL=redis_url) as process:
        since = time.monotonic()
        while not _ready(port):
            keep_waiting(process, log, since)
            time.sleep(POLL_SECONDS)
        yield port, process.pid


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz"):
            return True
    except URLError:
        return False
