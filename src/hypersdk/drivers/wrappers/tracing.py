"""A span for each call, when a tracing SDK is configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.observe import tracing


def traced(call: Call, go: Callable[[], Any]) -> Any:
    """The interceptor. Without an SDK it costs less than a microsecond."""
    if not tracing.recording():
        return go()
    with tracing.span(
        call.operation,
        hypervisor=call.hypervisor,
        operation=call.operation,
        instance=call.instance,
        retries=0,
    ):
        return go()
