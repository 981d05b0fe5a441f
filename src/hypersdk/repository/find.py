"""From what a person types to one restore point."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

from hypersdk.model.errors import InvalidInput, PointNotFound
from hypersdk.model.points import RestorePoint

#: Shortest beginning of an id that is looked up.
_PREFIX_MIN = 4


def find_point(points: Sequence[RestorePoint], reference: str) -> RestorePoint:
    """The point meant by an id, NAME, NAME@latest or NAME@TIME (the newest not after TIME).

    ``points`` come oldest first. A name wins over the beginning of an id. Raises PointNotFound.
    """
    named = [point for point in points if point.instance == reference]
    if named:
        return named[-1]
    name, at, moment = reference.rpartition("@")
    named = [point for point in points if at and point.instance == name]
    if named:
        return _at(named, name, moment)
    if len(reference) >= _PREFIX_MIN:
        found = [point for point in points if point.id.startswith(reference.upper())]
        if len(found) == 1:
            return found[0]
        if found:
            raise PointNotFound(
                f"{len(found)} restore points begin with {reference}",
                hint="Give more of the id: " + ", ".join(point.id for point in found[:5]),
            )
    raise _unknown(points, name or reference, reference)


def _at(named: Sequence[RestorePoint], name: str, moment: str) -> RestorePoint:
    if moment == "latest":
        return named[-1]
    limit = parse_time(moment)
    before = [point for point in named if point.time <= limit]
    if not before:
        raise PointNotFound(
            f"{name} has no restore point at or before {limit:%Y-%m-%d %H:%M:%S} UTC",
            hint=f"Its first one is of {named[0].time:%Y-%m-%d %H:%M:%S} UTC.",
        )
    return before[-1]


def parse_time(text: str) -> datetime:
    """ISO 8601 date or time; UTC unless it says otherwise. A date means its end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"'{text}' is not a time", hint="Write it like 2026-11-21 or 2026-11-21T02:00."
        ) from error
    if len(text) <= len("2026-11-21"):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unknown(points: Sequence[RestorePoint], name: str, reference: str) -> PointNotFound:
    names = sorted({point.instance for point in points})
    near = get_close_matches(name, names, n=3)
    if near:
        hint = f"Did you mean {', '.join(near)}?"
    elif names:
        hint = f"Instances here: {', '.join(names[:10])}{'…' if len(names) > 10 else ''}."
    else:
        hint = "The repository has no restore points yet."
    return PointNotFound(f"no restore point '{reference}'", hint=hint)
