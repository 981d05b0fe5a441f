"""Spans of a process, sent where the settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import metadata

from hypersdk.config.daemon import DaemonSettings


@contextlib.contextmanager
def tracing(settings: DaemonSettings, service: str) -> Iterator[None]:
    """While in this block. Raises InvalidInput, MissingRequirement."""
    traces = settings.traces
    if not traces.endpoint:
        yield
        return
    from hypersdk.observe.otlp import send_spans  # noqa: PLC0415 - seldom wanted

    end = send_spans(
        traces.endpoint,
        sample=traces.sample,
        service=service,
        version=metadata.version("hypersdk"),
    )
    try:
        yield
    finally:
        end()
