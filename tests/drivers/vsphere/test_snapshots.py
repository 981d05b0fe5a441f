"""What the kit does not tell of snapshots."""

from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import GuestAgentMissing, InvalidInput, InvalidState
from hypersdk.model.instances import InstanceState
from tests.drivers.vsphere.conftest import Made


@pytest.mark.parametrize("description", ["", "before", "two\nlines", "ends so\n"])
def test_a_running_one_is_known_by_its_description(
    hypervisor: VsphereHypervisor, made: Made, description: str
) -> None:
    name = made(running=True)
    kept = hypervisor.snapshots.create(name, "first", description=description)
    assert (kept.state, kept.memory, kept.description) == (
        InstanceState.RUNNING,
        False,
        description,
    )


def test_filesystems_are_frozen_by_tools(hypervisor: VsphereHypervisor, made: Made) -> None:
    kept = hypervisor.snapshots.create(made(running=True), "first", quiesce=True)
    assert not kept.memory
    with pytest.raises(GuestAgentMissing):
        hypervisor.snapshots.create(made(running=True, tools=False), "first", quiesce=True)


def test_memory_and_quiesce_exclude_each_other(hypervisor: VsphereHypervisor, made: Made) -> None:
    with pytest.raises(InvalidInput, match="not both"):
        hypervisor.snapshots.create(made(running=True), "first", memory=True, quiesce=True)


def test_a_stopped_one_has_nothing_to_freeze(hypervisor: VsphereHypervisor, made: Made) -> None:
    with pytest.raises(InvalidState, match="does not run"):
        hypervisor.snapshots.create(made(), "first", quiesce=True)


def test_two_of_one_name_are_not_mixed_up(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made()
    vm = hypervisor.connection.vm(name)
    for _ in range(2):
        hypervisor.connection.task(
            lambda: vm.CreateSnapshot_Task("same", "", memory=False, quiesce=False), "make one"
        )
    assert [kept.name for kept in hypervisor.snapshots.snapshots(name)] == ["same", "same"]
    with pytest.raises(InvalidInput, match="2 snapshots called 'same'"):
        hypervisor.snapshots.delete(name, "same")
