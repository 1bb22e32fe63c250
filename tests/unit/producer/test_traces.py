"""The trace that a job belongs to: taken from the program or the environment, kept with the job."""

import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from producer import PushQueue
from push_queue.traces import valid_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
TARGET = "localhost:1/app:1"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """Those that have ended, in this order."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[trace.Tracer]:
    """Of a program that uses OpenTelemetry."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield provider.get_tracer("a program")
    provider.shutdown()


@pytest.fixture
def no_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not use OpenTelemetry."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")


async def test_a_job_belongs_to_the_trace_of_the_program(
    queue: PushQueue, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("build") as build:
        alone = await queue.enqueue("/app.tar", TARGET)
        together = await queue.enqueue_many([queue.describe("/app.tar", TARGET)])
    wanted = trace.format_trace_id(build.get_span_context().trace_id)
    for job in (alone, *together):
        version, trace_id, span, _ = (job.traceparent or "").split("-")
        assert (version, trace_id) == ("00", wanted)
        assert span != trace.format_span_id(build.get_span_context().span_id)


async def test_the_span_of_an_enqueueing_says_how_many_jobs(
    queue: PushQueue, tracer: trace.Tracer, spans: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("build"):
        await queue.enqueue_many([queue.describe("/app.tar", TARGET) for _ in range(3)])
    enqueue, _ = spans.get_finished_spans()
    assert (enqueue.name, enqueue.attributes) == ("enqueue", {"push_queue.jobs": 3})


@pytest.mark.usefixtures("no_tracer")
async def test_a_job_belongs_to_the_trace_of_the_environment(
    queue: PushQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", TRACEPARENT)
    job = await queue.enqueue("/app.tar", TARGET)
    assert job.traceparent == TRACEPARENT
    assert (await queue.status(job.id)).traceparent == TRACEPARENT


@pytest.mark.usefixtures("no_tracer")
async def test_a_job_need_not_belong_to_any(queue: PushQueue) -> None:
    assert (await queue.enqueue("/app.tar", TARGET)).traceparent is None


@pytest.mark.usefixtures("no_tracer")
async def test_the_same_job_of_another_trace_is_the_same_job(
    queue: PushQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", TRACEPARENT)
    first = await queue.enqueue("/app.tar", TARGET, job_id="a")
    monkeypatch.setenv("TRACEPARENT", TRACEPARENT.replace(TRACE, "1" * 32))
    again = await queue.enqueue("/app.tar", TARGET, job_id="a")
    assert again.traceparent == first.traceparent


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        TRACEPARENT.upper(),
        f"{TRACEPARENT}\n",
        f"{TRACEPARENT}-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
    ],
)
def test_what_names_no_trace_is_ignored(text: str | None) -> None:
    assert valid_traceparent(text) is None
