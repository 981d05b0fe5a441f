from __future__ import annotations

import pytest
from pyVmomi import vim, vmodl

from hypersdk.drivers.vsphere import properties
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from tests.drivers.vsphere.conftest import Made


def test_pages_follow_each_other(
    connection: Connection, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(properties, "PAGE", 1)
    names = {made() for _ in range(3)}
    rows = list(properties.of_all(connection.content, [vim.VirtualMachine], ("name",)))
    assert names <= {row["name"] for _, row in rows}
    assert len({found for found, _ in rows}) == len(rows)


def test_only_what_was_asked_for(connection: Connection, made: Made) -> None:
    machine = connection.vm(made())
    row = properties.of_one(connection.content, machine, ("name", "config.keyId"))
    assert set(row) == {"name", "config.keyId"}
    assert row["config.keyId"] is None


def test_what_is_gone(connection: Connection) -> None:
    gone = connection.object(vim.VirtualMachine, "vm-999999")
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        properties.of_one(connection.content, gone, ("name",))


def test_changes_of_one_object(connection: Connection, made: Made) -> None:
    machine = connection.vm(made())
    changes = properties.Changes(connection.content, [machine], ("name", "runtime.powerState"))
    (first,) = changes.next(1)
    assert (first.moid, first.kind) == (moid(machine), "enter")
    connection.task(machine.PowerOnVM_Task, "start")
    (second,) = changes.next(5)
    assert second.kind == "modify"
    assert str(second.values["runtime.powerState"]) == "poweredOn"
    assert changes.next(1) == []
    changes.close()
    changes.close()
