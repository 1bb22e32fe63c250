"""The trace that a job belongs to, as W3C Trace Context names it: ``traceparent``.

Source: https://www.w3.org/TR/trace-context/#traceparent-header
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
VARIABLE = "TRACEPARENT"
"""Where CI systems name the trace of a step.

Source: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""


@contextmanager
def enqueueing(count: int) -> Iterator[str | None]:
    """A span for the enqueueing of that many jobs. Yields what they carry of it, if anything.

    A program that does not use OpenTelemetry has no spans: its jobs belong to the trace of the
    environment, if there is one.
    """
    if "opentelemetry.trace" not in sys.modules:
        yield valid_traceparent(os.environ.get(VARIABLE))
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    with trace.get_tracer("push_queue").start_as_current_span(
        "enqueue", kind=trace.SpanKind.PRODUCER, attributes={"push_queue.jobs": count}
    ):
        TraceContextTextMapPropagator().inject(carrier)
        yield valid_traceparent(carrier.get("traceparent"))


def valid_traceparent(text: str | None) -> str | None:
    """The text, if it names a trace. One that does not is ignored, as the standard demands."""
    return text if text and TRACEPARENT.fullmatch(text) else None


def trace_id(traceparent: str) -> str:
    """The 32 hexadecimal digits of the trace."""
    return traceparent.split("-")[1]
