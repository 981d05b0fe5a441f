"""Arithmetic on streams of extents: clip, join, align. Everything here is lazy.

The streams follow the rule of the port: ordered, gap-free, without overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypersdk.model.extents import Extent, ExtentKind

#: Neighbours are joined up to about this many bytes: a source that decodes a stream learns its
#: extents by decoding, and has to keep what was described and not yet read.
JOIN_LIMIT = 16 << 20


def joined(extents: Iterable[Extent]) -> Iterator[Extent]:
    """The same areas with neighbours of one kind joined (not without end, see ``JOIN_LIMIT``) and
    empty extents left out."""
    start = end = 0
    kind: ExtentKind | None = None
    for extent in extents:
        if not extent.length:
            continue
        if extent.kind is kind and end - start < JOIN_LIMIT:
            end = extent.end
            continue
        if kind is not None:
            yield Extent(start, end - start, kind)
        start, end, kind = extent.start, extent.end, extent.kind
    if kind is not None:
        yield Extent(start, end - start, kind)


def clipped(extents: Iterable[Extent], start: int, end: int) -> Iterator[Extent]:
    """Only what lies in ``[start, end)``."""
    for extent in extents:
        if extent.start >= end:
            return
        first, behind = max(extent.start, start), min(extent.end, end)
        if behind > first:
            yield Extent(first, behind - first, extent.kind)


def aligned(extents: Iterable[Extent], granularity: int, size: int) -> Iterator[Extent]:
    """The same areas with every border on a multiple of ``granularity`` bytes or at ``size``.

    A granule with more than one kind becomes ``DATA``: whoever stores whole granules must read
    such a one whole, also when it mixes only ``ZERO`` and ``UNCHANGED``.
    """
    whole = joined(extents)
    return whole if granularity == 1 else joined(_on_granules(whole, granularity, size))


def _on_granules(extents: Iterable[Extent], granularity: int, size: int) -> Iterator[Extent]:
    # `mixed` is the kind of the granule [edge, edge + granularity) that earlier extents filled
    # partly; None when the last extent ended on a border.
    mixed: ExtentKind | None = None
    edge = 0
    for extent in extents:
        start = extent.start
        if mixed is not None:
            border = min(edge + granularity, size)
            mixed = mixed if mixed is extent.kind else ExtentKind.DATA
            if extent.end < border:
                continue
            yield Extent(edge, border - edge, mixed)
            mixed, start = None, border
        behind = extent.end if extent.end == size else extent.end - extent.end % granularity
        if behind > start:
            yield Extent(start, behind - start, extent.kind)
        if behind < extent.end:
            mixed, edge = extent.kind, behind
