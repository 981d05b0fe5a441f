"""Tasks that others hinder, and those whose caller leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere import placement
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.power import OFF, ON, Making, bring, patient_task, power_state
from hypersdk.model.errors import HypervisorDenied, Interrupted, InvalidState
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def test_who_is_there_already_is_not_brought(connection: Connection, made: Made) -> None:
    vm = connection.vm(made(running=True))
    bring(connection, vm, ON, vm.PowerOnVM_Task, "start it")
    assert power_state(connection, vm) == ON
    with pytest.raises(InvalidState):
        bring(connection, vm, OFF, vm.PowerOnVM_Task, "start it")


def test_a_busy_machine_is_waited_for(
    connection: Connection, vsphere_lab: VsphereLab, made: Made
) -> None:
    vm = connection.vm(made(running=True))
    with vsphere_lab.faulty("soap_fault", method="ResetVM_Task", fault="ConcurrentAccess", times=2):
        patient_task(connection, vm.ResetVM_Task, "reset it")


def test_other_errors_are_raised_at_once(
    connection: Connection, vsphere_lab: VsphereLab, made: Made
) -> None:
    vm = connection.vm(made(running=True))
    with (
        vsphere_lab.faulty("soap_fault", method="ResetVM_Task", fault="NoPermission", times=1),
        pytest.raises(HypervisorDenied, match="reset it"),
    ):
        patient_task(connection, vm.ResetVM_Task, "reset it")


def _creating(connection: Connection, name: str) -> Callable[[], Any]:
    top = placement.datacenter(connection)
    host = placement.hosts(connection, top)[0]
    folder = connection.get(top, "vmFolder")["vmFolder"]
    spec = vim.vm.ConfigSpec(
        name=name, memoryMB=64, files=vim.vm.FileInfo(vmPathName="[LocalDS_0]")
    )
    pool = host.pool(connection)
    return lambda: folder.CreateVM_Task(spec, pool)


def test_what_is_made_for_nobody_is_removed(
    connection: Connection, vsphere_lab: VsphereLab
) -> None:
    name = uuid4().hex
    begin = _creating(connection, name)

    def begun() -> Any:
        task = begin()
        connection.wait(task, ("info.state",), lambda known: known["info.state"] == "success", 60)
        vsphere_lab.fault(
            "soap_fault", method="RetrievePropertiesEx", fault="NoPermission", times=1
        )
        return task

    with pytest.raises(HypervisorDenied):
        Making(connection).run(begun, "make it")
    names = {row["name"] for _, row in connection.collect(vim.VirtualMachine, ("name",))}
    assert name not in names


def test_nothing_is_begun_for_who_has_left(connection: Connection) -> None:
    name, token = uuid4().hex, CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        Making(connection).run(_creating(connection, name), "make it")
