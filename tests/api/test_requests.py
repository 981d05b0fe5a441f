"""Around a request: the log, and spans."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Message, Receive, Scope, Send

from hypersdk.api.metrics import Metrics
from hypersdk.api.requests import Requests


class _Nothing:
    def gauges(self) -> Any:
        return iter(())


def request(app: Any, method: str = "GET", headers: Any = ()) -> list[Message]:
    """What comes out when ``app`` answers one request."""
    out: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        out.append(message)

    scope = {
        "type": "http", "method": method, "path": "/v1/jobs", "headers": list(headers),
        "query_string": b"", "client": ("10.0.0.7", 1), "server": ("x", 80), "scheme": "http",
    }  # fmt: skip
    wrapped = Requests(app, metrics=Metrics("0", _Nothing()))
    asyncio.run(wrapped(scope, receive, send))
    return out


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyError("token=abc")


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [getattr(record, "hypersdk_fields", {}) for record in caplog.records]
    return [each for each in found if each.get("event") == "request"]


def test_changes_are_logged_and_looks_only_when_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "hypersdk"):
        request(fine)
        assert lines(caplog) == []
        request(fine, "POST", [(b"x-request-id", b"abc")])
    (line,) = lines(caplog)
    assert (line["method"], line["status"], line["client"]) == ("POST", 200, "10.0.0.7")
    assert line["request_id"] == "abc"
    with caplog.at_level(logging.DEBUG, "hypersdk"):
        request(fine)
    assert len(lines(caplog)) == 2


def test_a_fault_is_an_answer_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    start, body = request(faulty)
    assert start["status"] == 500
    assert b"token" not in body["body"]
    assert any("a request failed" in record.message for record in caplog.records)


def test_half_an_answer_is_no_answer() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("late")

    with pytest.raises(KeyError):
        request(half)


def test_requests_are_spans_where_somebody_collects_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    request(fine, headers=[(b"x-request-id", b"abc")])
    (span,) = spans.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert span.name == "http GET"
    assert attributes["hypersdk.request_id"] == "abc"
    assert attributes["hypersdk.status"] == 200
