from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from hypersdk.drivers.wrappers.deadline import Bounded
from hypersdk.drivers.wrappers.retry import Retries, Retrying
from hypersdk.drivers.wrappers.tracing import traced
from hypersdk.model.errors import InstanceNotFound
from tests.drivers.wrappers.failing import Failing, lab, lost, parts
from tests.observe.spans import recorded_spans

__all__ = ["recorded_spans"]


def test_a_call_is_a_span(tmp_path: Path, recorded_spans: InMemorySpanExporter) -> None:
    retry = Retrying(Retries(), sleep=lambda _: None)
    inventory, _ = parts(lab(tmp_path, "web"), traced, retry, Bounded(), Failing(*lost(2)))
    inventory.instance("web")
    (span,) = recorded_spans.get_finished_spans()
    assert span.name == "inventory.instance"
    assert dict(span.attributes or {}) == {
        "hypersdk.hypervisor": f"mock://{tmp_path}/lab",
        "hypersdk.operation": "inventory.instance",
        "hypersdk.instance": "web",
        "hypersdk.retries": 2,
    }
    assert span.status.status_code is StatusCode.UNSET


def test_an_error_is_recorded(tmp_path: Path, recorded_spans: InMemorySpanExporter) -> None:
    inventory, _ = parts(lab(tmp_path), traced)
    with pytest.raises(InstanceNotFound):
        inventory.instance("web")
    (span,) = recorded_spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "InstanceNotFound"


def test_without_an_sdk_a_call_is_just_made(tmp_path: Path) -> None:
    inventory, _ = parts(lab(tmp_path, "web"), traced)
    assert inventory.instance("web").name == "web"
