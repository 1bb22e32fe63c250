"""When a worker traces."""

import logging
import sys

import pytest

from worker.tracing import ENDPOINTS, set_up_tracing

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tests")
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    set_up_tracing()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "install the extra `tracing`" in record.getMessage()


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_loaded_that_nobody_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str | None
) -> None:
    for name in ENDPOINTS:
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    set_up_tracing()
    assert not caplog.records
