"""Defects in reading disks, and in what is known to have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.model.extents import Extent, ExtentKind
from tests.conformance.mutants import Go, Seat, mutant

GRANULE = 64 << 10


class Over:
    """An object with some of its attributes replaced."""

    def __init__(self, inner: Any, **others: Any) -> None:
        self._inner = inner
        self._others = others

    def __getattr__(self, name: str) -> Any:
        return self._others[name] if name in self._others else getattr(self._inner, name)

    def __enter__(self) -> Any:
        self._inner.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        leave = self._others.get("leave")
        if leave is not None:
            leave(self._inner)
        self._inner.__exit__(*failure)


def _sources(view: Any, change: Callable[[Any, Any], Any]) -> Any:
    """The view, with each source that its disks open changed: ``change(disk view, source)``."""

    def opening(disk: Any) -> Any:
        def opened(*, full: bool = False) -> Any:
            return change(disk, disk.open(full=full))

        return Over(disk, open=opened)

    return Over(view, disks=[opening(disk) for disk in view.disks])


def _extents(source: Any, change: Callable[[Extent], Extent]) -> Any:
    def extents(start: int = 0, length: int | None = None) -> Iterator[Extent]:
        return (change(extent) for extent in source.extents(start, length))

    return Over(source, extents=extents)


def _viewed(call: Call, go: Go, change: Callable[[Any], Any]) -> Any:
    return change(go()) if call.operation == "disks.view" else go()


@mutant("changedblocks")
def zeroed_areas_are_dropped(at: Seat, call: Call, go: Go) -> Any:
    """What was zeroed since the last backup is reported as unchanged."""

    def hide(extent: Extent) -> Extent:
        zero = extent.kind is ExtentKind.ZERO
        return replace(extent, kind=ExtentKind.UNCHANGED) if zero else extent

    def change(disk: Any, source: Any) -> Any:
        return _extents(source, hide) if disk.incremental else source

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("changedblocks")
def the_last_granule_is_missed(at: Seat, call: Call, go: Go) -> Any:
    """Changes in the last granule of a disk are not reported."""

    def change(disk: Any, source: Any) -> Any:
        if not disk.incremental:
            return source
        end = source.size - GRANULE

        def hide(extent: Extent) -> Extent:
            last = extent.end > end
            return replace(extent, kind=ExtentKind.UNCHANGED) if last else extent

        return _extents(source, hide)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("changedblocks")
def only_the_first_change_is_reported(at: Seat, call: Call, go: Go) -> Any:
    """Of many changed areas the first is reported."""

    def change(disk: Any, source: Any) -> Any:
        if not disk.incremental:
            return source

        def extents(start: int = 0, length: int | None = None) -> Iterator[Extent]:
            seen = False
            for extent in source.extents(start, length):
                hide = seen and extent.kind is not ExtentKind.UNCHANGED
                seen = seen or extent.kind is not ExtentKind.UNCHANGED
                yield replace(extent, kind=ExtentKind.UNCHANGED) if hide else extent

        return Over(source, extents=extents)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("disks")
def views_are_not_isolated(at: Seat, call: Call, go: Go) -> Any:
    """A view shows what the guest wrote after it began."""

    def change(disk: Any, source: Any) -> Any:
        name = call.instance

        def readinto(offset: int, buffer: memoryview) -> None:
            with at.mock.guest(name, disk.disk.name) as guest:
                buffer[:] = guest.read(offset, len(buffer))

        return Over(source, readinto=readinto)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("disks")
def reads_lose_their_end(at: Seat, call: Call, go: Go) -> Any:
    """The last 512 bytes of a read that begins within a sector are zero."""

    def change(_: Any, source: Any) -> Any:
        def readinto(offset: int, buffer: memoryview) -> None:
            source.readinto(offset, buffer)
            if len(buffer) > GRANULE:
                buffer[-512:] = bytes(512)

        return Over(source, readinto=readinto)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("disks")
def reads_past_the_end_are_zero(at: Seat, call: Call, go: Go) -> Any:
    """Reading behind the end of a disk gives zeroes."""

    def change(_: Any, source: Any) -> Any:
        def readinto(offset: int, buffer: memoryview) -> None:
            there = max(0, min(len(buffer), source.size - offset))
            source.readinto(offset, buffer[:there])
            buffer[there:] = bytes(len(buffer) - there)

        return Over(source, readinto=readinto)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("disks")
def extents_overlap(at: Seat, call: Call, go: Go) -> Any:
    """Extents are not clipped to the range that is asked for."""

    def change(_: Any, source: Any) -> Any:
        def extents(start: int = 0, length: int | None = None) -> Iterator[Extent]:
            end = source.size if length is None else start + length
            first = start // GRANULE * GRANULE
            last = min(source.size, -(-end // GRANULE) * GRANULE)
            return iter(tuple(source.extents(first, last - first)))

        return Over(source, extents=extents)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("changedblocks")
def checkpoints_of_failed_backups_stay(at: Seat, call: Call, go: Go) -> Any:
    """A view that was not kept leaves its checkpoint."""
    return _viewed(call, go, lambda view: Over(view, leave=lambda inner: inner.keep_checkpoints()))


@mutant("changedblocks")
def failed_backups_use_up_the_changes(at: Seat, call: Call, go: Go) -> Any:
    """A view reports what changed since the view before it, kept or not."""
    if call.operation != "disks.view":
        return go()
    last = at.shared.setdefault("last", {})
    name, since = call.arguments[0], call.arguments[1]
    view = at.mock.disks.view(name, last.get(name, since) if since else since)

    def leave(inner: Any) -> None:
        inner.keep_checkpoints()
        last[name] = {disk.disk.name: disk.checkpoint for disk in inner.disks}

    return Over(view, leave=leave)


@mutant("changedblocks")
def unknown_tokens_mean_no_changes(at: Seat, call: Call, go: Go) -> Any:
    """A token that the hypervisor does not know is taken for one since which nothing changed."""
    since = call.arguments[1] if call.operation == "disks.view" else {}

    def nothing(disk: Any) -> Any:
        if disk.incremental or disk.disk.name not in since:
            return disk

        def opened(*, full: bool = False) -> Any:
            source = disk.open(full=full)
            return _extents(source, lambda extent: replace(extent, kind=ExtentKind.UNCHANGED))

        return Over(disk, incremental=True, reason="the token", open=opened)

    return _viewed(call, go, lambda view: Over(view, disks=[nothing(d) for d in view.disks]))


@mutant("changedblocks")
def full_reads_are_incremental(at: Seat, call: Call, go: Go) -> Any:
    """A view since a token cannot be read in full."""

    def change(disk: Any, source: Any) -> Any:
        source.close()
        return disk.open(full=False)

    return _viewed(call, go, lambda view: _sources(view, change))


@mutant("changedblocks")
def nothing_is_incremental(at: Seat, call: Call, go: Go) -> Any:
    """Changed blocks are offered, and every view is read in full."""
    if call.operation == "disks.view":
        return at.mock.disks.view(call.arguments[0], {}, *call.arguments[2:])
    return go()


@mutant("disks")
def excluded_disks_are_read(at: Seat, call: Call, go: Go) -> Any:
    """Disks that were excluded are in the view."""
    if call.operation == "disks.view":
        return at.mock.disks.view(call.arguments[0], call.arguments[1])
    return go()


@mutant("rewriting")
def rewriting_is_not_noted(at: Seat, call: Call, go: Go) -> Any:
    """What is written in place is not in the record of changed blocks."""
    if call.operation != "disks.rewrite":
        return go()
    rewriting = go()

    def sink(disk: str) -> Any:
        guest = at.mock.guest(call.instance, disk)
        inner = rewriting.sink(disk)
        return Over(
            inner,
            write=lambda offset, data: guest.write(offset, data, journal=False),
            zero=lambda offset, length: guest.zero(offset, length, journal=False),
        )

    return Over(rewriting, sink=sink)
