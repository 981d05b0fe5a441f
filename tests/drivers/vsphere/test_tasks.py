from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InvalidState
from tests.drivers.vsphere.conftest import Made


def test_tasks_are_recorded(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made()
    connection = hypervisor.connection
    machine = connection.vm(name)
    connection.task(machine.PowerOnVM_Task, "start")
    with pytest.raises(InvalidState):
        connection.task(machine.PowerOnVM_Task, "start again")
    history = hypervisor.tasks.history(name)
    assert [task.queued for task in history] == sorted(
        (task.queued for task in history), reverse=True
    )
    starts = [task for task in history if task.operation.startswith("VirtualMachine.powerOn")]
    assert {task.state for task in starts} == {"error", "success"}
    done = next(task for task in starts if task.state == "success")
    failed = next(task for task in starts if task.state == "error")
    assert (done.error, failed.error != "") == ("", True)
    assert done.ended is not None
    assert done.id in [task.id for task in hypervisor.tasks.recent()]
    assert len(hypervisor.tasks.history(name, most=1)) == 1
