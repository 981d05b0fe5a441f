"""Who uses which disk files."""

from __future__ import annotations

from pyVmomi import vim

from hypersdk.drivers.vsphere import usage
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.units import MIB
from tests.drivers.vsphere.conftest import Made


def test_all_files_of_a_chain_count() -> None:
    layout = [
        vim.vm.FileLayout.DiskLayout(key=2000, diskFile=["[ds] a/a-000001.vmdk", "[ds] a/a.vmdk"]),
        vim.vm.FileLayout.DiskLayout(key=2001, diskFile=["[ds] a/b.vmdk"]),
    ]
    assert usage.files_of(layout) == {"[ds] a/a-000001.vmdk", "[ds] a/a.vmdk", "[ds] a/b.vmdk"}
    assert usage.own_files(layout) == usage.files_of(layout)
    assert usage.files_of(None) == usage.own_files(None) == frozenset()


def test_what_a_linked_clone_is_based_on_is_not_its_own() -> None:
    layout = [
        vim.vm.FileLayout.DiskLayout(
            key=2000, diskFile=["[ds] c/c-000001.vmdk", "[ds] c/c.vmdk", "[ds] a/a.vmdk"]
        )
    ]
    assert usage.own_files(layout) == {"[ds] c/c-000001.vmdk", "[ds] c/c.vmdk"}


def test_machines_of_their_own_share_nothing(connection: Connection, made: Made) -> None:
    name = made(disks=[{"size": MIB}])
    made(disks=[{"size": MIB}])
    assert usage.users(connection, connection.vm(name)) == {}
    assert usage.users(connection, connection.vm(made())) == {}
