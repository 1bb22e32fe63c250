"""Spans of OpenTelemetry, where they are asked for and the extra ``tracing`` is installed.

Every attempt at a job is a span in the trace of whoever enqueued it. Each request to a registry is
one below that.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from yarl import URL

from push_queue.models.assignments import Assignment
from push_queue.models.job_status import JobState

from .log_context import attempt_fields

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Where to send spans. The SDK reads these, and the other variables OTEL_…

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""
SERVICE = "push-worker"


def set_up_tracing() -> None:
    """Send spans from now on, if the environment says where to."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", SERVICE)
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        logger.warning("no spans are sent: %s; install the extra `tracing`", missing)
        return
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    AioHttpClientInstrumentor().instrument(tracer_provider=provider, url_filter=_without_secrets)


@contextmanager
def attempt_span(assignment: Assignment) -> Iterator[None]:
    """The span of an attempt."""
    if not _is_on():
        yield
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    fields = {"job": assignment.job.id, **attempt_fields(assignment)}
    carrier = {"traceparent": assignment.traceparent} if assignment.traceparent else {}
    with trace.get_tracer("push_queue").start_as_current_span(
        "push",
        TraceContextTextMapPropagator().extract(carrier),
        kind=trace.SpanKind.CONSUMER,
        attributes={f"push_queue.{name}": value for name, value in fields.items()},
    ):
        yield


def note_state(state: JobState) -> None:
    """The state in which the attempt leaves its job."""
    if not _is_on():
        return
    from opentelemetry import trace

    trace.get_current_span().set_attribute("push_queue.state", state)


def note_error(error: str) -> None:
    """Why the attempt did not push everything."""
    if not _is_on():
        return
    from opentelemetry import trace

    trace.get_current_span().set_status(trace.StatusCode.ERROR, error)


def _is_on() -> bool:
    return "opentelemetry.sdk.trace" in sys.modules


def _without_secrets(url: URL) -> str:
    """Registries and stores of objects sign their URLs in the query."""
    return str(url.with_user(None).with_query(None).with_fragment(None))
