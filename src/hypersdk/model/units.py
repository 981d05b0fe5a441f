"""Sizes, rates and durations as people write them.

Binary units only (``KiB MiB GiB TiB``); ``K M G T`` mean the same, as in qemu-img.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from hypersdk.model.errors import InvalidInput

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

_FACTORS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB, "P": 1 << 50}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGTP])(?:i?B)?|(B?))\s*", re.IGNORECASE)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_size(text: str) -> int:
    """``"1MiB"`` → 1048576 bytes. Raises InvalidInput on anything else than number and unit."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise InvalidInput(f"'{text}' is not a size", hint="Write it like 64KiB, 1MiB or 4GiB.")
    unit = (match[2] or match[3] or "").upper()
    return int(Decimal(match[1]) * _FACTORS[unit])


def parse_rate(text: str) -> int:
    """``"100MiB/s"`` or ``"100MiB"`` → bytes per second, at least 1."""
    try:
        rate = parse_size(text.removesuffix("/s"))
    except InvalidInput:
        rate = 0
    if rate < 1:
        raise InvalidInput(f"'{text}' is not a rate", hint="Write it like 100MiB/s.")
    return rate


def parse_duration(text: str) -> timedelta:
    """``"36h"``, ``"7d"``, ``"2w"`` → timedelta."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise InvalidInput(f"'{text}' is not a duration", hint="Write it like 90s, 24h, 7d or 2w.")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2].lower()])
    except OverflowError as error:
        raise InvalidInput(f"'{text}' is not a duration: it is too long") from error


def format_size(count: float) -> str:
    """1536 → ``"1.5 KiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if round(abs(count), 1) < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")
