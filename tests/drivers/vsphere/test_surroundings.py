from __future__ import annotations

from hypersdk.drivers.vsphere import surroundings
from hypersdk.drivers.vsphere.connection import Connection
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def test_around_a_machine(connection: Connection, made: Made) -> None:
    machine = connection.vm(made())
    host = connection.get(machine, "runtime.host")["runtime.host"]
    found = surroundings.around(connection, machine, host)
    assert found.host
    assert found.cluster
    assert found.product.startswith("VMware ESXi")
    assert surroundings.around(connection, machine, None) == surroundings.Surroundings()


def test_privileges_that_cannot_be_asked_are_unknown(
    connection: Connection, vsphere_lab: VsphereLab, made: Made
) -> None:
    machine = connection.vm(made())
    assert surroundings.missing_privileges(connection, machine) == ()
    with vsphere_lab.faulty("soap_fault", method="HasPrivilegeOnEntity", fault="NotSupported"):
        assert surroundings.missing_privileges(connection, machine) is None


def test_datastores_and_networks(connection: Connection, made: Made) -> None:
    machine = connection.vm(made(nics=[{"network": "VM Network"}]))
    row = connection.get(machine, "datastore", "network")
    (store,) = surroundings.datastores(connection, row["datastore"])
    assert store.name == "LocalDS_0"
    assert store.capacity is not None
    assert surroundings.datastores(connection, []) == ()
    names = surroundings.networks(connection, row["network"] or [])
    assert all(names.values())
