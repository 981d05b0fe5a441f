"""Change tracking is switched when somebody asks, and never where it would record wrongly."""

from __future__ import annotations

import pytest

from hypersdk.model.errors import InvalidState
from tests.drivers.vsphere.reading import Machines, disk_of, machines, tokens

__all__ = ["machines"]


@pytest.mark.parametrize("running", [False, True])
def test_it_is_switched_on_and_off(machines: Machines, running: bool) -> None:
    name = machines.make(running=running)
    with machines.disks.view(name, {}) as view:
        assert not tokens(view)
    machines.disks.set_change_tracking(name, on=True)
    machines.disks.set_change_tracking(name, on=True)
    machines.settled(name)
    with machines.disks.view(name, {}) as view:
        assert tokens(view)
    machines.disks.set_change_tracking(name, on=False)
    with machines.disks.view(name, {}) as view:
        assert not tokens(view)
        assert disk_of(view).disk.granularity == 0


def test_it_is_not_switched_while_there_are_snapshots(machines: Machines) -> None:
    name = machines.make()
    vm = machines.connection.vm(name)
    machines.connection.task(lambda: vm.CreateSnapshot_Task("mine", "", False, False), "take it")
    with pytest.raises(InvalidState, match="has snapshots") as raised:
        machines.disks.set_change_tracking(name, on=True)
    assert "Remove" in raised.value.hint


def test_reading_never_switches_it(machines: Machines) -> None:
    name = machines.make(running=True)
    with machines.disks.view(name, {}):
        pass
    vm = machines.connection.vm(name)
    assert not machines.connection.get(vm, "config.changeTrackingEnabled")[
        "config.changeTrackingEnabled"
    ]
