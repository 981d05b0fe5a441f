from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hypersdk.model.errors import InvalidInput
from hypersdk.observe.otlp import send_spans
from tests.estate.receiver import receiving

# A process has one tracer provider for its whole life, so this one is another.
PROGRAM = """
import sys
from hypersdk.observe.otlp import send_spans
from hypersdk.observe.tracing import note, span
end = send_spans(sys.argv[1], sample=float(sys.argv[2]), service="hypervisord", version="1.2")
try:
    with span("outer", job="1"):
        with span("inner", share=0.5, full=True):
            note(size=7)
            raise ValueError("password=geheim")
except ValueError:
    pass
end()
"""


def run(url: str, sample: str = "1") -> str:
    command = [sys.executable, "-c", PROGRAM, url, sample]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stderr


def test_spans_arrive_as_otlp() -> None:
    with receiving() as collector:
        run(collector.url.removesuffix("/hook"))
    (received,) = collector.received
    assert received.path == "/v1/traces"
    assert received.headers["content-type"] == "application/json"
    (resource,) = json.loads(received.body)["resourceSpans"]
    told = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    assert told["service.name"] == {"stringValue": "hypervisord"}
    (scope,) = resource["scopeSpans"]
    inner, outer = scope["spans"]
    assert (inner["name"], outer["name"]) == ("inner", "outer")
    assert inner["traceId"] == outer["traceId"]
    assert inner["parentSpanId"] == outer["spanId"]
    assert len(inner["spanId"]) == 16
    assert int(inner["endTimeUnixNano"]) >= int(inner["startTimeUnixNano"])
    values = {each["key"]: each["value"] for each in inner["attributes"]}
    assert values["hypersdk.share"] == {"doubleValue": 0.5}
    assert values["hypersdk.full"] == {"boolValue": True}
    assert values["hypersdk.size"] == {"intValue": "7"}
    assert inner["status"]["code"] == 2
    assert "geheim" not in received.body.decode()


def test_of_nothing_nothing_is_sent() -> None:
    with receiving() as collector:
        run(collector.url, "0")
    assert collector.received == []


def test_a_collector_that_is_away_stops_nobody() -> None:
    with receiving() as collector:
        gone = collector.url
    assert "Traceback" not in run(gone)


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(InvalidInput):
        send_spans("localhost:4318", sample=1, service="x", version="1")
