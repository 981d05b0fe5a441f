"""Durations and moments as clients of the known routes write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypersdk.model.errors import HyperSDKError, InvalidInput

#: Go's units in seconds.
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
#: Nanoseconds in a second.
NANOSECONDS = 1_000_000_000


def now() -> datetime:
    """For the field ``timestamp``."""
    return datetime.now(UTC)


def duration(seconds: float) -> str:
    """``1h2m3.5s``, as Go prints it: no part that leads is zero."""
    seconds = max(0.0, round(seconds, 3))
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours:.0f}h{minutes:.0f}m{text}"
    return f"{minutes:.0f}m{text}" if minutes else text


def seconds_of(value: str | float, field: str) -> float:
    """``1m30s`` or a number of seconds. Raises InvalidInput."""
    if isinstance(value, int | float):
        found = float(value)
    else:
        parts = list(_PART.finditer(value.strip()))
        if not parts or "".join(each[0] for each in parts) != value.strip():
            raise InvalidInput(
                f"{field}: '{value}' is no duration",
                hint="Write 10s, 1m30s, or a number of seconds.",
            )
        found = sum(float(each[1]) * _UNITS[each[2]] for each in parts)
    if not 0 < found < 86_400 * 366:
        raise InvalidInput(f"{field}: {value} is out of range", hint="Write 10s, 1m30s or 2h.")
    return found


def told(error: HyperSDKError) -> str:
    """What happened and what to do next, on one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def nanoseconds(seconds: float) -> int:
    """Durations in the answers about exports and clones are of this unit."""
    return round(seconds * NANOSECONDS)
