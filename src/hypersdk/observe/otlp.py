"""Spans to a collector, as OTLP over HTTP with JSON bodies (opentelemetry.io/docs/specs/otlp).

Our libraries make spans by OpenTelemetry's API; whoever runs a program decides where they go. The
daemon sends them itself, so that its setting ``traces.endpoint`` is all there is to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from hypersdk.model.errors import InvalidInput, MissingRequirement
from hypersdk.observe.log import get_logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_log = get_logger(__name__)

#: Seconds for one POST.
_TIMEOUT = 10.0
_PATH = "/v1/traces"


def send_spans(endpoint: str, *, sample: float, service: str, version: str) -> Callable[[], None]:
    """From now on, send this process' spans to ``endpoint``, ``sample`` (0 … 1) of all traces.

    Gives a function that sends the rest and ends it. A collector that is away is logged once and
    keeps nobody waiting. Raises InvalidInput for what is no URL, MissingRequirement without the
    OpenTelemetry SDK.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidInput(
            "traces.endpoint is no http:// or https:// URL",
            hint="Write it like http://localhost:4318.",
        )
    try:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "traces.endpoint needs the library opentelemetry-sdk",
            hint="Install it with: pip install 'hypersdk[traces]'",
        ) from error
    resource = Resource.create({"service.name": service, "service.version": version})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(sample)))
    provider.add_span_processor(BatchSpanProcessor(_exporter(endpoint)))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _exporter(endpoint: str) -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult  # noqa: PLC0415

    url = endpoint.rstrip("/")
    url = url if url.endswith(_PATH) else url + _PATH

    class Exporter(SpanExporter):
        """Called from the thread of the SDK."""

        failing = False

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            body = json.dumps(document(spans)).encode()
            headers = {"content-type": "application/json"}
            request = Request(url, body, headers, method="POST")  # noqa: S310 - checked above
            try:
                with urlopen(request, timeout=_TIMEOUT):  # noqa: S310
                    self.failing = False
            except OSError as error:
                if not self.failing:
                    _log.warning("spans cannot be sent", to=url, error=str(error))
                self.failing = True
                return SpanExportResult.FAILURE
            return SpanExportResult.SUCCESS

    return Exporter()


def document(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """ExportTraceServiceRequest. All spans of a process have one resource."""
    resource = dict(spans[0].resource.attributes) if spans else {}
    scopes: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        name = span.instrumentation_scope.name if span.instrumentation_scope else ""
        scopes.setdefault(name, []).append(_span(span))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [
                    {"scope": {"name": name}, "spans": found} for name, found in scopes.items()
                ],
            }
        ]
    }


def _span(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    assert context is not None
    made: dict[str, Any] = {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "name": span.name,
        "kind": span.kind.value + 1,  # OTLP has 0 for "not said"
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
        "events": [
            {
                "timeUnixNano": str(event.timestamp),
                "name": event.name,
                "attributes": _attributes(event.attributes or {}),
            }
            for event in span.events
        ],
        "status": {"code": span.status.status_code.value, "message": span.status.description or ""},
    }
    if span.parent is not None:
        made["parentSpanId"] = f"{span.parent.span_id:016x}"
    return made


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": str(value)}
