"""Instances made from instances."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import AREA, pattern, same
from hypersdk.model.errors import AlreadyExists, InvalidState
from hypersdk.model.instances import InstanceState


@case("clones")
def a_clone_is_its_own(lab: Lab) -> None:
    """A clone is stopped, ours, with an id of its own and the figures of the original."""
    made = lab.create()
    copy = lab.clones.clone(made.name, lab.name())
    expect.true(copy.id != made.id, f"both have the id {made.id}")
    expect.equal((copy.state, copy.owned), (InstanceState.STOPPED, True), "state and owner")
    expect.equal((copy.vcpus, copy.memory), (made.vcpus, made.memory), "its figures")
    expect.equal(
        {d.name: d.size for d in copy.disks}, {d.name: d.size for d in made.disks}, "disks"
    )
    expect.equal(lab.look(copy.name), copy, "what the inventory shows")
    expect.equal(lab.look(made.name), made, "the original")


@case("clones", needs=("guest",))
def a_clone_has_its_own_content(lab: Lab) -> None:
    """A clone holds what the original held; afterwards neither sees what the other writes."""
    name = lab.create().name
    lab.guest.write(name, AREA, pattern("before", AREA))
    copy = lab.clones.clone(name, lab.name()).name
    lab.guest.write(name, AREA, pattern("original", 4096))
    same(lab.guest.read(copy, AREA, AREA), pattern("before", AREA), "the clone")
    lab.guest.write(copy, 2 * AREA - 4096, pattern("clone", 4096))
    same(lab.guest.read(name, 2 * AREA - 4096, 4096), pattern("before", AREA)[-4096:], "original")


@case("clones")
def a_clone_outlives_the_original(lab: Lab) -> None:
    """A clone starts after its original was deleted with its disks."""
    name = lab.create().name
    copy = lab.clones.clone(name, lab.name()).name
    lab.lifecycle.delete(name, disks=True)
    lab.lifecycle.start(copy)
    expect.equal(lab.state(copy), InstanceState.RUNNING, "state of the clone")


@case("clones")
def a_taken_name_is_refused(lab: Lab) -> None:
    """Cloning to a name that is taken raises AlreadyExists; both stay as they are."""
    name, other = lab.create().name, lab.create().name
    with lab.unchanged(name, other), lab.nothing_left():
        expect.raises(AlreadyExists, lambda: lab.clones.clone(name, other), "cloning over another")
        expect.raises(AlreadyExists, lambda: lab.clones.clone(name, name), "cloning over itself")


@case("clones")
def running_ones_are_not_cloned(lab: Lab) -> None:
    """Cloning a running instance raises InvalidState, and nothing is left."""
    name, new = lab.running().name, lab.name()
    with lab.unchanged(name), lab.nothing_left():
        expect.raises(InvalidState, lambda: lab.clones.clone(name, new), "cloning a running one")


@case("clones")
def templates_are_not_started(lab: Lab) -> None:
    """A template cannot be started until it is an instance again."""
    name = lab.create().name
    for _ in range(2):
        lab.clones.make_template(name)
    expect.raises(InvalidState, lambda: lab.lifecycle.start(name), "starting a template")
    expect.equal(lab.state(name), InstanceState.STOPPED, "state of the template")
    for _ in range(2):
        lab.clones.unmake_template(name)
    lab.lifecycle.start(name)
    expect.equal(lab.state(name), InstanceState.RUNNING, "state of the instance")


@case("clones")
def running_ones_are_no_templates(lab: Lab) -> None:
    """A running instance is not made a template."""
    name = lab.running().name
    with lab.unchanged(name):
        expect.raises(InvalidState, lambda: lab.clones.make_template(name), "making it a template")


@case("clones.linked", needs=("guest",))
def linked_clones_hold_the_content(lab: Lab) -> None:
    """Linked clones hold what the template holds, and write only for themselves."""
    name = lab.create().name
    lab.guest.write(name, AREA, pattern("before", AREA))
    first = lab.clones.clone(name, lab.name(), linked=True).name
    second = lab.clones.clone(name, lab.name(), linked=True).name
    lab.guest.write(first, AREA, pattern("first", 4096))
    lab.guest.zero(second, AREA + 4096, 4096)
    wanted = pattern("before", AREA)
    same(lab.guest.read(first, AREA, AREA), pattern("first", 4096) + wanted[4096:], "the first")
    zeroed = wanted[:4096] + bytes(4096) + wanted[8192:]
    same(lab.guest.read(second, AREA, AREA), zeroed, "the second")


@case("clones.linked")
def a_linked_clone_binds_its_template(lab: Lab) -> None:
    """The original of a linked clone is a template: not started, nor freed while clones depend."""
    name = lab.create().name
    copy = lab.clones.clone(name, lab.name(), linked=True).name
    expect.raises(InvalidState, lambda: lab.lifecycle.start(name), "starting the original")
    expect.raises(InvalidState, lambda: lab.clones.unmake_template(name), "unmaking the template")
    lab.lifecycle.delete(copy, disks=True)
    lab.clones.unmake_template(name)
    lab.lifecycle.start(name)
    expect.equal(lab.state(name), InstanceState.RUNNING, "state of the original, at last")
