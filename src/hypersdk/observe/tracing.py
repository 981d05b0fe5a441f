"""Spans for OpenTelemetry. We use its API only: the program that uses us configures an SDK.

Without one nothing is recorded, and asking costs less than a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from hypersdk.observe.redact import redact_text

#: Begins the names of our attributes.
PREFIX = "hypersdk."


def recording() -> bool:
    """Whether an SDK is configured."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def span(name: str, **attributes: str | float | bool) -> Iterator[None]:
    """A span around what happens inside, also in threads that copy the context.

    An error that leaves it is recorded with its class and its message without secrets.
    """
    tracer = trace.get_tracer("hypersdk")
    with tracer.start_as_current_span(
        name,
        attributes={PREFIX + key: value for key, value in attributes.items()},
        record_exception=False,  # the message would go out as it is
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except BaseException as error:
            kind, message = type(error).__name__, redact_text(str(error))
            current.set_attribute("error.type", kind)
            current.add_event("exception", {"exception.type": kind, "exception.message": message})
            current.set_status(Status(StatusCode.ERROR, message))
            raise


def note(**attributes: str | float | bool) -> None:
    """Add to the span that is current here, if there is one."""
    current = trace.get_current_span()
    for key, value in attributes.items():
        current.set_attribute(PREFIX + key, value)
