"""The structured log: events with fields, for people or machines, never with secrets.

::

    log = get_logger(__name__)
    log.info("pack stored", pack=name, size=size)

Modules log through the standard library's loggers below ``hypersdk``, so a program that uses
HyperSDK as a library keeps its own logging. A command calls ``configure_logging`` once, which
writes to stderr (stdout belongs to results).
"""

from __future__ import annotations

import json as json_format
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict

from hypersdk.observe.redact import redact

ROOT = "hypersdk"
#: Attribute of a log record that carries the event's fields.
_FIELDS = "hypersdk_fields"

# Without a handler of any kind the standard library would print warnings by itself.
logging.getLogger(ROOT).addHandler(logging.NullHandler())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module; ``name`` is the module's ``__name__``.

    Fields bound with ``structlog.contextvars`` (a job's id) are added to every event.
    """
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _redact_event,
            _to_record,
        ],
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("structlog.stdlib.BoundLogger", logger)


def configure_logging(
    level: str = "info", *, json: bool = False, stream: TextIO | None = None
) -> None:
    """Write events of ``level`` and above to ``stream`` (stderr); other libraries' from warning.

    ``json`` writes one object per line, with ``timestamp`` (UTC, ISO 8601), ``level``,
    ``logger``, ``event`` and the event's fields. A second call replaces the first.
    """
    stream = stream or sys.stderr
    handler = _Handler(stream)
    handler.setFormatter(JsonFormatter() if json else HumanFormatter(colors=stream.isatty()))
    top = logging.getLogger()
    for old in top.handlers[:]:
        if isinstance(old, _Handler):
            top.removeHandler(old)
    top.addHandler(handler)
    top.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(level.upper())


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, known by its class when the log is configured again."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return json_format.dumps(_event(record), ensure_ascii=False, default=str)


class HumanFormatter(logging.Formatter):
    """A record as a line for a person; a traceback follows on lines of its own."""

    def __init__(self, *, colors: bool = False) -> None:
        super().__init__()
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors,
            pad_event_to=0,
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )

    def format(self, record: logging.LogRecord) -> str:
        event = _event(record)
        event.pop("logger")
        event["timestamp"] = event["timestamp"][11:19]
        return str(self._render(None, record.levelname.lower(), event))


def _event(record: logging.LogRecord) -> dict[str, Any]:
    """What a record of ours or of another library says, without secrets."""
    fields = redact(getattr(record, _FIELDS, None) or {"event": record.getMessage()})
    event: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": fields.pop("event", ""),
    }
    # A field that has the name of one of these (a verification has a level, too) gives way.
    event.update({f"{name}_" if name in event else name: item for name, item in fields.items()})
    if record.exc_info:
        event["exception"] = redact(logging.Formatter().formatException(record.exc_info))
    return event


def _redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Processor: redacted here too, for handlers that are not ours."""
    trace = event.pop("exc_info", None)
    clean: MutableMapping[str, Any] = redact(event)
    if trace is not None:
        clean["exc_info"] = trace
    return clean


def _to_record(
    _logger: Any, _method: str, event: EventDict
) -> tuple[tuple[str], dict[str, object]]:
    """Last processor: the standard library's call, readable by a handler that is not ours."""
    options: dict[str, object] = {}
    for name in ("exc_info", "stack_info"):
        if name in event:
            options[name] = event.pop(name)
    fields = dict(event)
    words = [str(event.pop("event", "")), *(f"{name}={value}" for name, value in event.items())]
    return (" ".join(words),), {**options, "extra": {_FIELDS: fields}}
