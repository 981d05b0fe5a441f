"""Devices that change while an instance runs or is stopped, and outlive a restart."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.suites.limits import MORE_MEMORY
from hypersdk.model.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound
from hypersdk.model.instances import Instance
from hypersdk.model.specs import DiskSpec


@case("hotplug")
def something_can_be_changed(lab: Lab) -> None:
    """A driver with this part offers at least one of its aspects."""
    expect.true(lab.offers_something("hotplug"), "all aspects of hotplug are among its limits")


def _disk(lab: Lab, name: str) -> DiskSpec:
    disk = lab.target.disk(name)
    if disk is None:
        expect.skip("the target has no disk to plug in")
    return disk


def _restarted(lab: Lab, name: str) -> Instance:
    """Stopped and started: what was changed only for the moment is lost now."""
    lab.lifecycle.stop(name, force=True)
    lab.lifecycle.start(name)
    return lab.look(name)


def _resizable(lab: Lab, *, running: bool) -> str:
    """Name of an instance with one processor that has room for more of everything."""
    memory = lab.target.spec("kit").memory
    spec = lab.spec(vcpus=1, vcpus_maximum=2, memory_maximum=memory + MORE_MEMORY)
    return (lab.running(spec) if running else lab.create(spec)).name


def _vcpus(lab: Lab, *, running: bool) -> None:
    name = _resizable(lab, running=running)
    lab.hotplug.set_vcpus(name, 2)
    expect.equal(lab.look(name).vcpus, 2, "processors")
    _backend(lab, name, "vcpus", 2)
    lab.hotplug.set_vcpus(name, 2)
    expect.equal(_restarted(lab, name).vcpus, 2, "processors after a restart")
    _backend(lab, name, "vcpus", 2)


def _memory(lab: Lab, *, running: bool) -> None:
    name = _resizable(lab, running=running)
    more = lab.target.spec("kit").memory + MORE_MEMORY
    lab.hotplug.set_memory(name, more)
    lab.eventually(lambda: lab.look(name).memory, lambda size: size == more, "memory")
    lab.hotplug.set_memory(name, more)
    expect.equal(_restarted(lab, name).memory, more, "memory after a restart")
    _backend(lab, name, "memory", more)


def _backend(lab: Lab, name: str, field: str, wanted: int) -> None:
    """Compare where the observer shows it; a stopped instance may show nothing."""
    seen = lab.target.observer.look(name) if lab.target.observer else None
    value = getattr(seen, field, None)
    if value is not None:
        expect.equal(value, wanted, f"{field} in the backend")


@case("hotplug.vcpus")
def vcpus_of_a_running_one(lab: Lab) -> None:
    """A running instance gets another processor, in the backend, also after a restart."""
    _vcpus(lab, running=True)


@case("hotplug.vcpus")
def vcpus_of_a_stopped_one(lab: Lab) -> None:
    """A stopped instance gets another processor."""
    _vcpus(lab, running=False)


@case("hotplug.vcpus")
def too_many_vcpus_are_refused(lab: Lab) -> None:
    """More processors than there is room for raise LimitExceeded; none at all InvalidInput."""
    name = _resizable(lab, running=True)
    with lab.unchanged(name):
        expect.raises(LimitExceeded, lambda: lab.hotplug.set_vcpus(name, 4096), "4096 processors")
        expect.raises(InvalidInput, lambda: lab.hotplug.set_vcpus(name, 0), "no processors")


@case("hotplug.memory")
def memory_of_a_running_one(lab: Lab) -> None:
    """A running instance gets more memory, in the backend, also after a restart."""
    _memory(lab, running=True)


@case("hotplug.memory")
def memory_of_a_stopped_one(lab: Lab) -> None:
    """A stopped instance gets more memory."""
    _memory(lab, running=False)


@case("hotplug.memory")
def too_much_memory_is_refused(lab: Lab) -> None:
    """More memory than there is room for raises LimitExceeded; none at all InvalidInput."""
    name = _resizable(lab, running=True)
    with lab.unchanged(name):
        expect.raises(LimitExceeded, lambda: lab.hotplug.set_memory(name, 1 << 55), "32 PiB")
        expect.raises(InvalidInput, lambda: lab.hotplug.set_memory(name, 0), "no memory")


@case("hotplug.disk")
def a_disk_is_attached_and_detached(lab: Lab) -> None:
    """A disk attached to a running instance is there, also after a restart, until detached."""
    _attach_and_detach(lab, lab.running().name)


@case("hotplug.disk")
def a_disk_of_a_stopped_one(lab: Lab) -> None:
    """A disk attached to a stopped instance is there, also after a start, until detached."""
    name = lab.create().name
    disk = lab.hotplug.attach_disk(name, _disk(lab, name))
    lab.lifecycle.start(name)
    expect.contains({d.name for d in lab.look(name).disks}, disk.name, "disks after a start")


def _attach_and_detach(lab: Lab, name: str) -> None:
    before = {disk.name for disk in lab.look(name).disks}
    resources = lab.target.observer.resources() if lab.target.observer else frozenset()
    wanted = _disk(lab, name)
    disk = lab.hotplug.attach_disk(name, wanted)
    if wanted.size:
        expect.equal(disk.size, wanted.size, "size of the attached disk")
    expect.equal({d.name for d in lab.look(name).disks}, before | {disk.name}, "disks")
    seen = {d.name for d in _restarted(lab, name).disks}
    expect.equal(seen, before | {disk.name}, "disks after a restart")
    lab.lifecycle.stop(name, force=True)
    lab.hotplug.detach_disk(name, disk.name)
    expect.equal({d.name for d in lab.look(name).disks}, before, "disks after detaching")
    if lab.target.observer:
        kept = lab.target.observer.resources() - resources
        expect.true(bool(kept), "the content of the detached disk is gone")
        lab.keep_by_contract(kept)


@case("hotplug.disk", needs=("observer",))
def an_attached_disk_goes_with_the_instance(lab: Lab) -> None:
    """A disk that was attached is removed with the instance and its disks."""
    with lab.nothing_left():
        name = lab.create().name
        lab.hotplug.attach_disk(name, _disk(lab, name))
        lab.lifecycle.delete(name, disks=True)


@case("hotplug.disk")
def a_taken_disk_name_is_refused(lab: Lab) -> None:
    """Attaching a disk under a name that is taken raises AlreadyExists, and leaves nothing."""
    name = lab.create().name
    disk = lab.hotplug.attach_disk(name, _disk(lab, name))
    again = DiskSpec(name=disk.name, size=disk.size)
    with lab.unchanged(name), lab.nothing_left():
        expect.raises(AlreadyExists, lambda: lab.hotplug.attach_disk(name, again), "a taken name")


@case("hotplug.disk")
def a_missing_disk_is_not_found(lab: Lab) -> None:
    """Detaching a disk that is not there raises NotFound, and changes nothing."""
    name = lab.create().name
    with lab.unchanged(name):
        expect.raises(NotFound, lambda: lab.hotplug.detach_disk(name, "vdkit"), "no such disk")


@case("hotplug.nic")
def a_nic_is_attached_and_detached(lab: Lab) -> None:
    """A NIC attached to a running instance is in the backend, also after a restart."""
    name = lab.running().name
    before = _nics(lab, name)
    mac = lab.hotplug.attach_nic(name, lab.nic())
    expect.true(bool(mac), "it has no address")
    attached = _nics(lab, name)
    _restarted(lab, name)
    restarted = _nics(lab, name)
    lab.lifecycle.stop(name, force=True)  # not every guest lets go of what it uses
    lab.hotplug.detach_nic(name, mac)
    lab.lifecycle.start(name)
    detached = _nics(lab, name)
    if before is not None:
        expect.equal(attached, before + 1, "NICs in the backend after attaching")
        expect.equal(restarted, before + 1, "NICs in the backend after a restart")
        expect.equal(detached, before, "NICs in the backend after detaching")
    expect.raises(NotFound, lambda: lab.hotplug.detach_nic(name, mac), "detaching it again")


def _nics(lab: Lab, name: str) -> int | None:
    """None where nothing shows them."""
    seen = lab.target.observer.look(name) if lab.target.observer else None
    return None if seen is None or seen.nics is None else len(seen.nics)


@case("hotplug.media")
def missing_media_are_refused(lab: Lab) -> None:
    """An image that is not there, or a drive that is not there, is refused."""
    name = lab.create().name
    with lab.unchanged(name):
        expect.raises(
            (NotFound, InvalidInput),
            lambda: lab.hotplug.insert_media(name, "/nonexistent/kit.iso"),
            "inserting what is not there",
        )
        expect.raises(
            (NotFound, InvalidInput),
            lambda: lab.hotplug.eject_media(name, "no-such-drive"),
            "ejecting from no drive",
        )
