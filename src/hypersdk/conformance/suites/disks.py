"""Disks are read exactly as they were at the moment of the view."""

from __future__ import annotations

from contextlib import suppress

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import (
    AREA,
    WINDOW,
    disk_of,
    extents,
    held,
    pattern,
    read,
    restored,
    same,
)
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.model.errors import HyperSDKError, InvalidState
from hypersdk.model.extents import ExtentKind
from hypersdk.model.instances import Consistency, Purpose

#: What a view has to hold all of; the rest (NVRAM, kernel) it may hold besides.
_OWN = frozenset({Purpose.DISK, Purpose.ARCHIVE})


def _written(lab: Lab, name: str) -> bytes:
    """Write here and there, not on any boundary; what the window then holds."""
    lab.guest.write(name, 0, pattern("first", 4096))
    lab.guest.write(name, 3 * AREA - 512, pattern("across", 2048))
    lab.guest.write(name, 5 * AREA, pattern("middle", AREA))
    return lab.guest.read(name, 0, WINDOW)


@case("disks", needs=("guest",))
def what_was_written_comes_out(lab: Lab) -> None:
    """A view holds exactly what the guest wrote, and what it did not write."""
    name = lab.create().name
    wanted = _written(lab, name)
    with lab.disks.view(name, {}) as view:
        same(held(view, lab.guest, 0, WINDOW), wanted, "the disk by its extents")


@case("disks.random_access", needs=("guest",))
def it_is_read_in_one_piece(lab: Lab) -> None:
    """Reading across data and zeroes at once gives what the guest sees."""
    name = lab.create().name
    wanted = _written(lab, name)
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
        same(read(source, 0, WINDOW), wanted, "the disk read in one piece")


@case("disks", needs=("guest",))
def the_very_end_comes_out(lab: Lab) -> None:
    """The last bytes of a disk are read."""
    name = lab.create().name
    with lab.disks.view(name, {}) as view:
        size = disk_of(view, lab.guest.disk).disk.size
    last = pattern("last", 512)
    lab.guest.write(name, size - 512, last)
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
        expect.equal(source.size, size, "size of the source")
        same(restored(source, size - 4096, 4096)[-512:], last, "the end of the disk")


@case("disks", needs=("guest",))
def zeroed_areas_read_as_zero(lab: Lab) -> None:
    """What the guest zeroed reads as zero, though it was written before."""
    name = lab.create().name
    lab.guest.write(name, AREA, pattern("old", 3 * AREA))
    lab.guest.zero(name, 2 * AREA, AREA)
    wanted = pattern("old", 3 * AREA)
    wanted = wanted[:AREA] + bytes(AREA) + wanted[2 * AREA :]
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
        same(restored(source, AREA, 3 * AREA), wanted, "the area by its extents")
        if lab.offers("disks", "random_access"):
            same(read(source, AREA, 3 * AREA), wanted, "the area read in one piece")


@case("disks.random_access", needs=("guest",))
def extents_cover_any_range(lab: Lab) -> None:
    """Extents come in order, without gaps, clipped to the range that is asked for."""
    name = lab.create().name
    _written(lab, name)
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
        whole = extents(source)
        expect.lacks(
            {extent.kind for extent in whole}, ExtentKind.UNCHANGED, "kinds in a full view"
        )
        for start, length in ((0, 1), (511, 2), (3 * AREA - 700, 4096), (source.size - 1, 1)):
            extents(source, start, length)
        expect.equal(extents(source, AREA, 0), [], "extents of an empty range")


@case("disks", needs=("guest",))
def reading_past_the_end_is_an_error(lab: Lab) -> None:
    """Reading behind the end of a disk raises, and is never short."""
    name = lab.create().name
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
        try:
            read(source, source.size - 10, 20)
        except HyperSDKError:
            return
        expect.fail("20 bytes were read where there are 10")


@case("disks.random_access", needs=("guest",))
def clones_read_at_once(lab: Lab) -> None:
    """Clones of a source are read by many threads at once, each rightly."""
    name = lab.create().name
    wanted = _written(lab, name)
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:

        def part(number: int) -> bytes:
            with source.clone() as mine:
                return read(mine, number * AREA, AREA)

        for number, found in enumerate(
            lab.at_once(*(lambda number=number: part(number) for number in range(8)))
        ):
            if not isinstance(found, bytes):
                raise found
            same(found, wanted[number * AREA : (number + 1) * AREA], f"what thread {number} read")


@case("disks", needs=("guest",))
def a_view_stays_at_its_moment(lab: Lab) -> None:
    """What is written to a stopped instance after the view began is not in the view."""
    name = lab.create().name
    with lab.disks.view(name, {}):
        try:
            lab.guest.write(name, 0, pattern("try", 512))
        except InvalidState as error:
            expect.skip(f"nobody can write to a stopped disk while it is read: {error.message}")
    _isolated(lab, name)


@case("disks.running", needs=("guest",))
def a_view_of_a_running_one_stays_at_its_moment(lab: Lab) -> None:
    """What a running guest writes or zeroes after the view began is not in the view."""
    _isolated(lab, lab.running().name)


def _isolated(lab: Lab, name: str) -> None:
    wanted = _written(lab, name)
    with lab.disks.view(name, {}) as view:
        lab.guest.write(name, 0, pattern("later", 2 * AREA))
        lab.guest.zero(name, 5 * AREA, AREA)
        same(held(view, lab.guest, 0, WINDOW), wanted, "the view, after the guest wrote")
        lab.guest.write(name, 5 * AREA, pattern("still later", AREA))
        same(held(view, lab.guest, 0, WINDOW), wanted, "the view, after the guest wrote again")
        view.confirm()
    later = lab.guest.read(name, 0, WINDOW)
    same(later[: 2 * AREA], pattern("later", 2 * AREA), "what the guest wrote meanwhile")
    same(later[5 * AREA : 6 * AREA], pattern("still later", AREA), "what the guest wrote last")


@case("disks.running", needs=("guest",))
def a_running_one_runs_on(lab: Lab) -> None:
    """An instance runs while it is read, and afterwards; its view says what it is worth."""
    made = lab.running()
    with lab.disks.view(made.name, {}) as view:
        expect.equal(lab.state(made.name), made.state, "state while it is read")
        expect.contains(
            (Consistency.CRASH, Consistency.FILESYSTEM), view.consistency, "its consistency"
        )
    expect.equal(lab.state(made.name), made.state, "state afterwards")


@case("disks", needs=("guest",))
def a_view_knows_its_instance(lab: Lab) -> None:
    """A view says which instance it is of, all its disks, and that nothing was in flight."""
    made = lab.create()
    with lab.disks.view(made.name, {}) as view:
        expect.equal((view.instance.id, view.instance.name), (made.id, made.name), "its instance")
        expect.equal(view.consistency, Consistency.OFFLINE, "consistency of a stopped instance")
        names = {disk.disk.name for disk in view.disks if disk.disk.purpose in _OWN}
        expect.equal(names, {disk.name for disk in made.disks}, "its disks")
        for disk in view.disks:
            expect.true(disk.incremental or bool(disk.reason), "a full read does not say why")


@case("disks", needs=("guest",))
def excluded_disks_are_left_out(lab: Lab) -> None:
    """A disk that is excluded is not in the view."""
    name = lab.create().name
    options = ViewOptions(exclude=frozenset({lab.guest.disk}))
    with lab.disks.view(name, {}, options) as view:
        expect.lacks({disk.disk.name for disk in view.disks}, lab.guest.disk, "disks of the view")


@case("disks", needs=("guest", "observer"))
def an_ended_view_leaves_nothing(lab: Lab) -> None:
    """A view that ended, or broke off, leaves nothing in the backend."""
    name = lab.create().name
    with lab.nothing_left():
        with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
            restored(source, 0, 4096)
        with suppress(_BreakOffError):
            _break_off(lab, name)
    lab.lifecycle.start(name)


@case("disks", needs=("guest",))
def views_follow_each_other(lab: Lab) -> None:
    """One backup after another is read, each at its own moment."""
    name = lab.create().name
    for number in range(3):
        wanted = pattern(f"round {number}", 4096)
        lab.guest.write(name, AREA, wanted)
        with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
            same(restored(source, AREA, 4096), wanted, f"the area in round {number}")


@case("disks", needs=("guest",))
def content_outlives_starts_and_stops(lab: Lab) -> None:
    """What is on a disk is still there after a start and a stop."""
    name = lab.create().name
    wanted = pattern("kept", AREA)
    lab.guest.write(name, AREA, wanted)
    lab.lifecycle.start(name)
    lab.lifecycle.stop(name, force=True)
    with lab.disks.view(name, {}) as view, disk_of(view, lab.guest.disk).open() as source:
        same(restored(source, AREA, AREA), wanted, "the area")


class _BreakOffError(Exception):
    """A backup that fails."""


def _break_off(lab: Lab, name: str) -> None:
    with lab.disks.view(name, {}):
        raise _BreakOffError
