"""The daemon's log: JSON for machines, text on a terminal, and never a secret."""

from __future__ import annotations

import logging
import sys

from hypersdk.config.daemon import DaemonSettings
from hypersdk.observe.log import configure_logging

#: Libraries that would write lines of their own about every request or run.
_QUIET = {"uvicorn.access": logging.CRITICAL, "uvicorn.error": logging.WARNING}


def configure(settings: DaemonSettings) -> None:
    """On stderr. May be called again, after a reload."""
    json = settings.log_format == "json"
    if settings.log_format == "auto":
        json = not sys.stderr.isatty()
    configure_logging(settings.log_level, json=json)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
