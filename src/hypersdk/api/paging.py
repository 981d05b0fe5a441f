"""Lists in parts. A cursor is opaque to clients: it says where the next part begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

from fastapi import Query

from hypersdk.model.errors import InvalidInput

T = TypeVar("T")

#: Parameters of handlers.
Limit = Annotated[int, Query(ge=1, le=1000, description="Items in this part at most")]
Cursor = Annotated[
    str, Query(max_length=1000, description="`next` of the part before this one; empty: the first")
]


def cursor_at(of: str, place: str | int) -> str:
    """Where the next part of a list begins. ``of`` is its name, so that one cannot be taken for
    another's."""
    text = json.dumps([of, place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def number_in(text: str, of: str) -> int | None:
    """The number of a cursor; None for the first part. Raises InvalidInput."""
    if not text:
        return None
    place = _place(text, of)
    # What does not fit into 63 bits, no database counts to.
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < 1 << 63:
        raise _unknown(of)
    return place


def text_in(text: str, of: str) -> str | None:
    """The text of a cursor; None for the first part. Raises InvalidInput."""
    if not text:
        return None
    place = _place(text, of)
    if not isinstance(place, str) or "\0" in place:
        raise _unknown(of)
    return place


def part(
    items: Iterable[T], key: Callable[[T], str], *, of: str, limit: int, after: str
) -> tuple[list[T], str | None]:
    """Of a list that is there as a whole, sorted by ``key`` without duplicates: the part after a
    cursor, and the cursor of the next. Raises InvalidInput."""
    place = text_in(after, of)
    found = sorted(items, key=key)
    if place is not None:
        found = [item for item in found if key(item) > place]
    chosen = found[:limit]
    return chosen, cursor_at(of, key(chosen[-1])) if len(found) > limit else None


def _place(text: str, of: str) -> object:
    try:
        # Characters that are not of the alphabet would be skipped: what comes back must be alike.
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _unknown(of) from error
    if not isinstance(found, list) or len(found) != 2 or found[0] != of:
        raise _unknown(of)
    return found[1]


def _unknown(of: str) -> InvalidInput:
    return InvalidInput(
        f"the cursor is not one of the list of {of}",
        hint="Give `next` of the answer before, with the same filters, or no cursor.",
    )
