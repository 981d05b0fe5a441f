"""Running instances that move to another hypervisor of the same kind."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab, forget
from hypersdk.conformance.parts import Parts
from hypersdk.conformance.reading import AREA, pattern, same
from hypersdk.conformance.target import HasDestination
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import AlreadyExists, HypervisorError, InvalidInput, InvalidState
from hypersdk.model.instances import InstanceState


def _destination(lab: Lab, name: str) -> Parts:
    """A connection to it; what comes there under this name is removed at the end."""
    if not isinstance(lab.target, HasDestination):
        expect.skip("the target has no second hypervisor")
    hypervisor = connect(lab.target.destination())
    lab.later("close the destination", lambda _: hypervisor.close())
    there = Parts(hypervisor)
    lab.later(f"remove {name} from the destination", lambda _: forget(there, name))
    return there


@case("live_migration")
def a_running_one_moves(lab: Lab) -> None:
    """A running instance runs on at the destination under its id, and is gone where it was."""
    made = lab.running()
    there = _destination(lab, made.name)
    lab.live_migration.migrate(made.name, there.hypervisor.url, copy_disks=True)
    found = there.inventory.instance(made.name)
    expect.equal((found.id, found.state), (made.id, InstanceState.RUNNING), "id and state there")
    expect.equal((found.vcpus, found.memory), (made.vcpus, made.memory), "its figures there")
    expect.lacks(lab.names(), made.name, "the list where it was")


@case("live_migration", needs=("guest", "disks"))
def its_content_moves(lab: Lab) -> None:
    """What the guest had written, and zeroed, is on its disk at the destination."""
    name = lab.running().name
    there = _destination(lab, name)
    lab.guest.write(name, AREA, pattern("moved", 2 * AREA))
    lab.guest.zero(name, 2 * AREA, AREA)
    lab.live_migration.migrate(name, there.hypervisor.url, copy_disks=True)
    there.lifecycle.stop(name, force=True)
    with there.disks.view(name, {}) as view:
        disk = next(disk for disk in view.disks if disk.disk.name == lab.guest.disk)
        with disk.open() as source:
            buffer = bytearray(2 * AREA)
            source.readinto(AREA, memoryview(buffer))
    same(bytes(buffer), pattern("moved", 2 * AREA)[:AREA] + bytes(AREA), "its disk there")


@case("live_migration")
def a_taken_name_is_refused(lab: Lab) -> None:
    """Moving to where the name is taken raises AlreadyExists; both are as they were."""
    made = lab.running()
    there = _destination(lab, made.name)
    other = there.lifecycle.create(lab.target.spec(made.name))
    with lab.unchanged(made.name):
        expect.raises(
            AlreadyExists,
            lambda: lab.live_migration.migrate(made.name, there.hypervisor.url, copy_disks=True),
            "moving to a taken name",
        )
    expect.equal(there.inventory.instance(made.name), other, "the one at the destination")


@case("live_migration")
def stopped_ones_do_not_move(lab: Lab) -> None:
    """Moving a stopped instance raises InvalidState, and nothing comes to the destination."""
    name = lab.create().name
    there = _destination(lab, name)
    with lab.unchanged(name):
        expect.raises(
            InvalidState,
            lambda: lab.live_migration.migrate(name, there.hypervisor.url, copy_disks=True),
            "moving a stopped instance",
        )
    names = [found.name for found in there.inventory.instances()]
    expect.lacks(names, name, "the list at the destination")


@case("live_migration")
def a_failure_leaves_it_running(lab: Lab) -> None:
    """A destination that is not there is an error, and the instance runs on where it was."""
    name = lab.running().name
    nowhere = f"{lab.target.url.partition('://')[0]}://kit.invalid/nowhere"
    with lab.unchanged(name):
        expect.raises(
            (HypervisorError, InvalidInput),
            lambda: lab.live_migration.migrate(name, nowhere, copy_disks=True),
            "moving to nowhere",
        )
