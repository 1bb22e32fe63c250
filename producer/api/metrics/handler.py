"""Answers a scrape. One without Redis succeeds, too, and says so."""

from collections.abc import Iterable, Iterator

from aiohttp import web
from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from producer.api.metrics.families import collect
from producer.api.metrics.snapshot import take_snapshot


async def metrics(request: web.Request) -> web.Response:
    """The figures of the queue in the format that Prometheus asks for."""
    found = list(collect(await take_snapshot(request)))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(found))
    registry.register(PROCESS_COLLECTOR)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(registry), headers={"Content-Type": content_type})


class _Collected(Collector):
    """Metrics that have been collected already."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield from self._found
