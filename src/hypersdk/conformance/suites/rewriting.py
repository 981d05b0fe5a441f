"""Disks of stopped instances are written in place."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import (
    AREA,
    WINDOW,
    committed,
    disk_of,
    pattern,
    read,
    restored,
    same,
)
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import InstanceState


@case("disks.rewrite", needs=("guest",))
def what_is_rewritten_is_on_the_disk(lab: Lab) -> None:
    """What is written and zeroed in place is what the guest finds, and nothing else changed."""
    name = lab.create().name
    before = pattern("before", 4 * AREA)
    lab.guest.write(name, 0, before)
    _rewritten(lab, name)
    now = lab.guest.read(name, 0, 4 * AREA)
    wanted = before[:AREA] + pattern("rewritten", AREA) + bytes(AREA) + before[3 * AREA :]
    same(now, wanted, "the disk as the guest finds it")


@case("disks.rewrite", needs=("guest",))
def a_rewriting_shows_what_is_there(lab: Lab) -> None:
    """While a disk is rewritten its present content can be read."""
    name = lab.create().name
    lab.guest.write(name, AREA, pattern("there", AREA))
    with lab.disks.rewrite(name) as rewriting, rewriting.source(lab.guest.disk) as source:
        same(read(source, AREA, AREA), pattern("there", AREA), "what is there")


@case("disks.rewrite", needs=("guest", "disks.changed_blocks"))
def rewriting_is_noted_as_a_change(lab: Lab) -> None:
    """The record of changed blocks notes what was rewritten."""
    name = lab.create().name
    lab.guest.write(name, 0, pattern("before", 4 * AREA))
    before = lab.guest.read(name, 0, WINDOW)
    tokens = committed(lab, name)
    _rewritten(lab, name)
    now = lab.guest.read(name, 0, WINDOW)
    with lab.disks.view(name, tokens) as view, disk_of(view, lab.guest.disk).open() as source:
        same(restored(source, 0, WINDOW, before), now, "what was before, with the changes")


@case("disks.rewrite", needs=("guest",))
def running_ones_are_not_rewritten(lab: Lab) -> None:
    """The disks of a running instance are not rewritten."""
    name = lab.running().name
    with lab.unchanged(name):
        expect.raises(
            InvalidState, lambda: lab.enter(lab.disks.rewrite(name)), "rewriting a running one"
        )


@case("disks.rewrite", needs=("guest",))
def it_cannot_be_started_meanwhile(lab: Lab) -> None:
    """An instance whose disks are being rewritten cannot be started; afterwards it can."""
    name = lab.create().name
    with lab.disks.rewrite(name):
        expect.raises(InvalidState, lambda: lab.lifecycle.start(name), "starting it meanwhile")
        expect.equal(lab.state(name), InstanceState.STOPPED, "its state meanwhile")
    lab.lifecycle.start(name)
    expect.equal(lab.state(name), InstanceState.RUNNING, "its state afterwards")


def _rewritten(lab: Lab, name: str) -> None:
    data = memoryview(pattern("rewritten", AREA))
    with lab.disks.rewrite(name) as rewriting:
        expect.contains([disk.name for disk in rewriting.disks], lab.guest.disk, "its disks")
        with rewriting.sink(lab.guest.disk) as sink:
            sink.write(AREA, data)
            sink.zero(2 * AREA, AREA)
            sink.flush()
