"""The spans of a push, as a collector of OpenTelemetry gets them from a real worker."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from producer import JobState, PushQueue
from tests.support.images import ARCHIVES
from tests.support.local_server import LocalServer
from tests.support.servers import StartWorker

pytestmark = pytest.mark.integration

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(LocalServer):
    """Keeps the spans that are sent to it."""

    def __init__(self) -> None:
        application = web.Application()
        application.router.add_post("/v1/traces", self._take)
        super().__init__(web.AppRunner(application))
        self.spans: list[Span] = []

    async def _take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response(content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as running:
        yield running


def attributes(span: Span) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


async def test_one_trace_leads_from_the_producer_to_the_tag(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    collector: Collector,
    registry_host: str,
    repository: str,
) -> None:
    process = worker(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    archive = ARCHIVES["guide"](tmp_path)
    (job,) = await queue.enqueue_many(
        [queue.describe(archive.path, f"{registry_host}/{repository}:1")],
        traceparent=f"00-{TRACE}-{SPAN}-01",
    )
    done = await queue.wait(job.id, timeout=60)
    assert done.state is JobState.SUCCEEDED
    # What was not sent yet is sent at the end.
    assert await asyncio.to_thread(process.terminate) == 0

    ours = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    (push,) = [span for span in ours if span.name == "push"]
    assert push.parent_span_id.hex() == SPAN
    assert push.kind == Span.SPAN_KIND_CONSUMER
    assert attributes(push) == {
        "push_queue.job": job.id,
        "push_queue.attempt": 1,
        "push_queue.registry": registry_host,
        "push_queue.repository": repository,
        "push_queue.state": "succeeded",
    }
    requests = [span for span in ours if span.kind == Span.SPAN_KIND_CLIENT]
    assert {span.parent_span_id for span in requests} == {push.span_id}
    asked = {(span.name, str(attributes(span)["http.url"])) for span in requests}
    assert ("PUT", f"http://{registry_host}/v2/{repository}/manifests/1") in asked
    # A registry signs the place of an upload in the query.
    assert any("/blobs/uploads/" in url for _, url in asked)
    assert not any("?" in url for _, url in asked)


async def test_an_attempt_that_fails_says_why(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    collector: Collector,
    registry_host: str,
    repository: str,
) -> None:
    process = worker(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"not a tar" * 1000)
    job = await queue.enqueue(broken, f"{registry_host}/{repository}:1")
    done = await queue.wait(job.id, timeout=60)
    assert await asyncio.to_thread(process.terminate) == 0
    (push,) = [span for span in collector.spans if span.name == "push"]
    assert push.status.code == Status.STATUS_CODE_ERROR
    assert push.status.message == done.error


async def test_a_collector_that_is_away_holds_nothing_up(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    process = worker(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_BSP_EXPORT_TIMEOUT="1")
    archive = ARCHIVES["guide"](tmp_path)
    job = await queue.enqueue(archive.path, f"{registry_host}/{repository}:1")
    assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED
    assert await asyncio.to_thread(process.terminate) == 0
    assert "Traceback" not in process.log
