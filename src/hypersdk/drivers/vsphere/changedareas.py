"""Ask vSphere which areas of a disk changed, and believe only what cannot be wrong by its form.

``QueryChangedDiskAreas`` answers in pages: each says which area it speaks of (``startOffset``,
``length``) and which parts of that changed. What peers got wrong, and is right here:

- a page without changes is no end: the end is where the disk ends;
- a page of length 0 would be asked for forever: it is an error;
- the end of the disk is never asked for: vSphere answers that with InvalidArgument;
- a page that contradicts itself or those before it makes the whole answer worthless.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from hypersdk.datapath.cancel import token_in_force
from hypersdk.model.errors import DataPathError
from hypersdk.model.extents import Extent, ExtentKind

#: Asks for all areas that are allocated, instead of those that changed.
ALLOCATED = "*"
#: Pages of a disk at most: 64 TiB in areas of 64 KiB, 2000 on a page, are half a million.
_MOST_PAGES = 1 << 20


class AreasUntrustedError(DataPathError):
    """The answer contradicts itself: the disk has to be read in full."""


class Areas:
    """Disjoint areas of a disk in order, neighbours joined. Offsets and lengths in bytes."""

    def __init__(self, areas: Iterable[tuple[int, int]], size: int) -> None:
        """``areas``: start and length of each, in any order; what lies behind ``size`` is cut."""
        self.size = size
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, length in sorted(areas):
            end = min(start + length, size)
            if end <= start:
                continue
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    @property
    def total(self) -> int:
        """Bytes."""
        return sum(self._ends) - sum(self._starts)

    def __len__(self) -> int:
        return len(self._starts)

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """``[start, end)`` in pieces: start, end, and whether it belongs to the areas."""
        index = bisect.bisect_right(self._ends, start)
        at = start
        while at < end:
            if index == len(self._starts) or self._starts[index] >= end:
                yield at, end, False
                return
            begin, stop = max(self._starts[index], start), min(self._ends[index], end)
            if begin > at:
                yield at, begin, False
            yield begin, stop, True
            at = stop
            index += 1


def extents(
    start: int, end: int, *, changed: Areas | None, allocated: Areas | None
) -> Iterator[Extent]:
    """What is known of ``[start, end)``. ``changed`` None: all of it counts as changed.
    ``allocated`` None: all of it counts as data. What changed and is not allocated is zero."""
    pieces = [(start, end, True)] if changed is None else changed.runs(start, end)
    for first, last, dirty in pieces:
        if last <= first:
            continue
        if not dirty:
            yield Extent(first, last - first, ExtentKind.UNCHANGED)
        elif allocated is None:
            yield Extent(first, last - first, ExtentKind.DATA)
        else:
            for begin, stop, data in allocated.runs(first, last):
                yield Extent(begin, stop - begin, ExtentKind.DATA if data else ExtentKind.ZERO)


def changed_areas(query: Callable[[int], Any], capacity: int, disk: str) -> Areas:
    """All areas, page by page. ``query(start)`` asks for the page from ``start``; what it raises
    goes through. ``disk``: its name, for messages.

    Raises AreasUntrustedError.
    """
    found: list[tuple[int, int]] = []
    at = 0
    token = token_in_force()
    for _ in range(_MOST_PAGES):
        if at >= capacity:
            return Areas(found, capacity)
        token.check()
        page = query(at)
        end = _page_end(page, at, disk)
        found.extend(_page_areas(page, at, end, disk))
        at = end
    raise AreasUntrustedError(f"the record of changes of {disk} does not come to an end")


def _page_end(page: Any, at: int, disk: str) -> int:
    if page.startOffset != at:
        raise AreasUntrustedError(
            f"the record of changes of {disk} answers for {page.startOffset} when asked for {at}"
        )
    if page.length <= 0:
        raise AreasUntrustedError(f"the record of changes of {disk} says nothing about {at}")
    return int(at + page.length)


def _page_areas(page: Any, at: int, end: int, disk: str) -> Sequence[tuple[int, int]]:
    areas = [(int(area.start), int(area.length)) for area in page.changedArea or ()]
    before = at
    for start, length in areas:
        if length <= 0 or start < before or start + length > end:
            raise AreasUntrustedError(
                f"the record of changes of {disk} contradicts itself at {start}"
                f" ({length} bytes, on the page from {at} to {end})"
            )
        before = start + length
    return areas
