"""Instances are built from what a restore point holds: wholly, or not at all."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import AREA, copied, held, pattern, same
from hypersdk.drivers.diskports import Placement
from hypersdk.model.errors import AlreadyExists, InvalidInput
from hypersdk.model.instances import Definition, Disk, InstanceState


def _kept(lab: Lab) -> tuple[str, Definition, tuple[Disk, ...]]:
    """What a backup of a fresh instance would keep of it: its name, definition and disks."""
    name = lab.create().name
    with lab.disks.view(name, {}) as view:
        if view.definition is None:
            expect.fail("a view has no definition though instances can be built from one")
        return name, view.definition, tuple(disk.disk for disk in view.disks)


@case("provisioning", needs=("disks", "guest"))
def what_is_built_is_an_instance(lab: Lab) -> None:
    """An instance built from a backup has its name, is stopped, holds what was saved, and runs."""
    original, name = lab.create().name, lab.name()
    lab.guest.write(original, AREA, pattern("saved", AREA))
    with lab.disks.view(original, {}) as view:
        if view.definition is None:
            expect.fail("a view has no definition though instances can be built from one")
        disks = [disk.disk for disk in view.disks]
        with lab.provisioning.build(view.definition, disks, Placement(name=name)) as building:
            expect.equal(building.name, name, "the name of what is built")
            for disk in view.disks:
                with disk.open() as source, building.sink(disk.disk.name) as sink:
                    copied(source, sink)
            made = building.commit()
    expect.equal((made.name, made.state), (name, InstanceState.STOPPED), "name and state")
    expect.true(made.id != lab.look(original).id, "it has the id of the original")
    expect.equal(lab.look(name).id, made.id, "its id, as the inventory shows it")
    for offset, wanted in ((0, bytes(AREA)), (AREA, pattern("saved", AREA))):
        same(lab.guest.read(name, offset, AREA), wanted, f"what it holds at {offset}")
    lab.lifecycle.start(name)
    expect.equal(lab.state(name), InstanceState.RUNNING, "state after a start")


@case("provisioning", needs=("disks", "guest"))
def what_is_not_committed_is_removed(lab: Lab) -> None:
    """A building that is left without a commit leaves nothing, neither instance nor disks."""
    _, definition, disks = _kept(lab)
    name = lab.name()
    with lab.nothing_left():
        with (
            lab.provisioning.build(definition, disks, Placement(name=name)) as building,
            building.sink(disks[0].name) as sink,
        ):
            sink.write(0, memoryview(pattern("half", AREA)))
        expect.lacks(lab.names(), name, "the list")


@case("provisioning", needs=("disks", "guest"))
def a_taken_name_is_refused(lab: Lab) -> None:
    """Building under a name that is taken raises AlreadyExists; who has it stays as it is."""
    name, definition, disks = _kept(lab)
    with lab.unchanged(name), lab.nothing_left():
        expect.raises(
            AlreadyExists,
            lambda: lab.enter(lab.provisioning.build(definition, disks, Placement(name=name))),
            "building over an instance",
        )


@case("provisioning")
def definitions_of_other_kinds_are_refused(lab: Lab) -> None:
    """A definition of another kind of hypervisor is refused before anything is made."""
    with lab.nothing_left():
        expect.raises(
            InvalidInput,
            lambda: lab.enter(
                lab.provisioning.build(
                    Definition("kit-unknown", b"{}"), (), Placement(name=lab.name())
                )
            ),
            "building from an unknown kind of definition",
        )


@case("leftovers", needs=("disks", "guest"))
def what_lives_is_left_alone(lab: Lab) -> None:
    """Cleaning up after killed runs does not touch a view that is being read."""
    name = lab.create().name
    lab.guest.write(name, AREA, pattern("read", AREA))
    with lab.disks.view(name, {}) as view:
        lab.leftovers.reap()
        found = held(view, lab.guest, AREA, AREA)
        same(found, pattern("read", AREA), "the view after the cleanup")


@case("leftovers")
def a_dry_run_changes_nothing(lab: Lab) -> None:
    """A dry run says the same twice."""
    first = list(lab.leftovers.reap(dry_run=True))
    expect.equal(list(lab.leftovers.reap(dry_run=True)), first, "what a dry run says again")
