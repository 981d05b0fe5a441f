"""Moments as the database keeps them: microseconds since 1970, UTC. They sort, and are alike in
SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)


@overload
def to_number(moment: datetime) -> int: ...
@overload
def to_number(moment: None) -> None: ...
def to_number(moment: datetime | None) -> int | None:
    """``moment`` has a time zone."""
    return None if moment is None else (moment - _ZERO) // _ONE


@overload
def from_number(number: int) -> datetime: ...
@overload
def from_number(number: None) -> None: ...
def from_number(number: int | None) -> datetime | None:
    """UTC."""
    return None if number is None else _ZERO + timedelta(microseconds=number)
