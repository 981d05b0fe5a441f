"""How amounts and moments read in tables and messages. JSON has bytes, seconds and ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypersdk.model.instances import Consistency
from hypersdk.model.units import MIB, format_size

if TYPE_CHECKING:  # flows are slow to import
    from hypersdk import PointDisk, RestorePoint, Sign


def size(count: float) -> str:
    """Bytes."""
    return format_size(count)


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = whole % 3600 // 60
    return f"{whole // 3600} h" + (f" {minutes:02} min" if minutes else "")


def moment(time: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ratio(before: float, after: float) -> str:
    """``2.5``: how many times smaller ``after`` is than ``before``; ``-`` without one of them."""
    return f"{before / after:.1f}" if before and after else "-"


def count(number: int, noun: str) -> str:
    """``1 pack``, ``2 packs``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def kind(disk: PointDisk) -> str:
    """How a disk was read."""
    return "incremental" if disk.incremental else "full"


_CONSISTENCY = {
    Consistency.OFFLINE: "switched off",
    Consistency.CRASH: "crash-consistent, as after a power cut",
    Consistency.FILESYSTEM: "filesystems frozen",
}


def consistency(point: RestorePoint) -> str:
    """What a point is worth to the guest that will boot from it."""
    return _CONSISTENCY[point.consistency]


def sign(shown: Sign) -> str:
    """By what it was seen that a guest has booted."""
    return {
        "serial": "its serial line shows the text",
        "agent": "its agent answers",
        "screen": "its screen changes",
    }[shown.value]


def marks(point: RestorePoint) -> list[str]:
    """What sets a point apart from others, in a few words."""
    found = []
    if point.pinned:
        found.append("pinned")
    if point.locked_until is not None:
        found.append(f"locked until {moment(point.locked_until)}")
    if point.warnings:
        found.append(count(len(point.warnings), "warning"))
    return found


def speed(amount: int, seconds: float) -> str:
    """MiB per second, a bare number."""
    return f"{amount / MIB / seconds:.0f}" if seconds > 0 else "-"
