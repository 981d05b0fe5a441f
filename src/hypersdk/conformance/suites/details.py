"""More of one instance than a listing tells: true, of this moment, and of nobody else."""

from __future__ import annotations

from dataclasses import replace

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.details import InstanceDetails
from hypersdk.model.instances import InstanceState, Purpose


def _details(lab: Lab, name: str) -> InstanceDetails:
    return lab.details.details(name)


def _sizes(found: InstanceDetails) -> dict[str, int]:
    """Disk → bytes."""
    return {disk.name: disk.size for disk in found.disks}


@case("details", needs=("lifecycle",))
def they_are_of_the_instance(lab: Lab) -> None:
    """The details of an instance hold it as a look at it shows it, stopped and running."""
    made = lab.create()
    expect.equal(_details(lab, made.name).instance, made, "the instance, stopped")
    lab.lifecycle.start(made.name)
    found = _details(lab, made.name).instance
    expect.equal(found, lab.look(made.name), "the instance, running")
    expect.equal(found.state, InstanceState.RUNNING, "its state")


@case("details", needs=("lifecycle",))
def they_are_found_by_id(lab: Lab) -> None:
    """The details are found by id as well as by name."""
    made = lab.create()
    # How much room its storage has left changes all the time.
    by_id, by_name = (replace(_details(lab, each), storage=()) for each in (made.id, made.name))
    expect.equal(by_id, by_name, "found by id")


@case("details", needs=("lifecycle",))
def asking_changes_nothing(lab: Lab) -> None:
    """Asking for details changes nothing and leaves nothing."""
    name = lab.running().name
    with lab.unchanged(name), lab.nothing_left():
        _details(lab, name)


@case("details", needs=("lifecycle",))
def another_connection_sees_the_same(lab: Lab) -> None:
    """Another connection finds the same details of a stopped instance."""
    name = lab.create().name
    other = lab.connect().details.details(name)
    expect.equal(other.disks, _details(lab, name).disks, "disks by another connection")
    expect.equal(other.nics, _details(lab, name).nics, "NICs by another connection")
    expect.equal(other.path, _details(lab, name).path, "path by another connection")


@case("details", needs=("lifecycle",))
def disks_are_all_there(lab: Lab) -> None:
    """Every disk of the instance is there with its name and size, and no other."""
    made = lab.create()
    wanted = {disk.name: disk.size for disk in made.disks if disk.purpose is Purpose.DISK}
    found = _details(lab, made.name)
    expect.equal(_sizes(found), wanted, "disks in the details")
    expect.equal(len(found.disks), len(wanted), "how many disks there are")


@case("details", needs=("hotplug.disk",))
def a_plugged_disk_is_there(lab: Lab) -> None:
    """A disk that was attached is in the details, and gone from them once it was detached."""
    name = lab.create().name
    spec = lab.target.disk(name)
    if spec is None:
        expect.skip("the target has no disk to plug in")
    before = _sizes(_details(lab, name))
    resources = lab.target.observer.resources() if lab.target.observer else frozenset()
    disk = lab.hotplug.attach_disk(name, spec)
    expect.equal(_sizes(_details(lab, name)), {**before, disk.name: disk.size}, "with the disk")
    resources = lab.target.observer.resources() if lab.target.observer else frozenset()
    lab.hotplug.detach_disk(name, disk.name)
    if lab.target.observer:
        lab.keep_by_contract(lab.target.observer.resources() - resources)
    expect.equal(_sizes(_details(lab, name)), before, "without the disk")


@case("details", needs=("lifecycle", "lifecycle.nics"))
def nics_are_all_there(lab: Lab) -> None:
    """Every NIC of the instance is there, each with an address of its own."""
    bare = lab.target.spec("kit").nics
    name = lab.create(nics=(*bare, lab.nic(), lab.nic())).name
    found = _details(lab, name).nics
    expect.equal(len(found), len(bare) + 2, "how many NICs there are")
    macs = [nic.mac.lower() for nic in found]
    expect.equal(len({*macs}), len(macs), f"how many different addresses there are in {macs}")
    seen = lab.target.observer.look(name) if lab.target.observer else None
    if seen is not None and seen.nics is not None:
        expect.equal(sorted(macs), sorted(mac.lower() for mac in seen.nics), "addresses")


@case("details", needs=("snapshots",))
def snapshots_are_counted(lab: Lab) -> None:
    """The number of snapshots is that of this moment, where it is told."""
    name = lab.create().name
    if _details(lab, name).snapshots is None:
        expect.skip("the details do not tell how many snapshots there are")
    expect.equal(_details(lab, name).snapshots, 0, "snapshots of a fresh instance")
    for count, word in enumerate(("one", "two"), 1):
        lab.snapshots.create(name, word)
        expect.equal(_details(lab, name).snapshots, count, "snapshots")
    lab.snapshots.delete(name, "one", children=True)
    expect.equal(_details(lab, name).snapshots, 0, "snapshots after they were deleted")


@case("details", needs=("clones",))
def templates_say_so(lab: Lab) -> None:
    """A template is told apart from an instance, where that is told."""
    name = lab.create().name
    if _details(lab, name).template is None:
        expect.skip("the details do not tell templates")
    expect.equal(_details(lab, name).template, False, "template, of an instance")
    lab.clones.make_template(name)
    expect.equal(_details(lab, name).template, True, "template, of a template")


@case("details", needs=("lifecycle",))
def storage_is_that_of_its_disks(lab: Lab) -> None:
    """Where a disk is said to lie is among the storage, whose figures can be."""
    found = _details(lab, lab.create().name)
    there = {place.name: place for place in found.storage}
    for disk in found.disks:
        if disk.storage and there:
            expect.contains(there, disk.storage, f"storage, which {disk.name} lies on")
    for place in found.storage:
        capacity, free = place.capacity, place.free
        if capacity is not None and free is not None:
            expect.true(0 <= free <= capacity, f"{place.name} has {free} bytes free of {capacity}")


@case("details", needs=("lifecycle",))
def firmware_is_that_of_its_spec(lab: Lab) -> None:
    """The firmware is the one that was asked for, where it is told."""
    found = _details(lab, lab.create(firmware="bios").name)
    if not found.firmware:
        expect.skip("the details do not tell the firmware")
    expect.equal(found.firmware, "bios", "its firmware")


@case("details", needs=("lifecycle",))
def nobody_answers_in_a_stopped_one(lab: Lab) -> None:
    """No agent answers in a stopped instance, whose guest has no addresses."""
    found = _details(lab, lab.create().name)
    expect.true(found.guest.agent is not True, "an agent answers in a stopped instance")
    expect.equal(found.guest.addresses, (), "addresses of a stopped guest")
