from __future__ import annotations

import contextvars
import threading

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from hypersdk.observe import tracing
from tests.observe.spans import recorded_spans

__all__ = ["recorded_spans"]


def test_nothing_is_recorded_without_an_sdk() -> None:
    assert not tracing.recording()
    with tracing.span("copy", disk="vda"):
        tracing.note(bytes=3)  # into the void


def test_spans_have_attributes_and_parents(recorded_spans: InMemorySpanExporter) -> None:
    assert tracing.recording()
    with tracing.span("outer", size=1.5, ok=True), tracing.span("inner"):
        tracing.note(retries=2)
    inner, outer = recorded_spans.get_finished_spans()
    assert dict(outer.attributes or {}) == {"hypersdk.size": 1.5, "hypersdk.ok": True}
    assert dict(inner.attributes or {}) == {"hypersdk.retries": 2}
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


def test_an_error_is_recorded_without_secrets(recorded_spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="hunter2"), tracing.span("login"):
        raise ValueError("refused password=hunter2")
    (span,) = recorded_spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "refused password=***"
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    (event,) = span.events
    assert dict(event.attributes or {}) == {
        "exception.type": "ValueError",
        "exception.message": "refused password=***",
    }


def test_a_thread_with_the_context_adds_to_the_span(recorded_spans: InMemorySpanExporter) -> None:
    with tracing.span("outer"):
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: tracing.note(seen=True),))
        thread.start()
        thread.join()
    (span,) = recorded_spans.get_finished_spans()
    assert dict(span.attributes or {}) == {"hypersdk.seen": True}
