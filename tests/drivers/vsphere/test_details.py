from __future__ import annotations

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InstanceNotFound
from tests.drivers.vsphere.conftest import Made


def test_a_plain_machine(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(folder="prod/web", disks=[{"size": 4 << 20}], nics=[{"network": "VM Network"}])
    found = hypervisor.details.details(name)
    assert found.instance == hypervisor.inventory.instance(name)
    assert found.path == f"DC0/vm/prod/web/{name}"
    assert (found.datacenter, found.cluster != "", found.host != "") == ("DC0", True, True)
    assert found.product.startswith("VMware ESXi 8")
    assert (found.firmware, found.template, found.encrypted) == ("bios", False, False)
    assert (found.snapshots, found.fault_tolerance, found.host_affinity) == (0, False, False)
    assert (found.cpu_affinity, found.numa_affinity) == (False, False)
    assert found.changed_blocks is False
    assert found.changed_blocks_supported is True
    assert found.hardware.startswith("vmx-")
    assert found.missing_privileges == ()
    assert [store.name for store in found.storage] == ["LocalDS_0"]
    assert found.storage[0].free
    assert found.storage[0].accessible
    assert found.guest.os_id == "ubuntu64Guest"
    (disk,) = found.disks
    assert (disk.name, disk.place, disk.size) == ("scsi0-0", "scsi0:0", 4 << 20)
    assert (disk.backing, disk.storage, disk.controller) == ("file", "LocalDS_0", "pvscsi")
    assert (disk.independent, disk.shared, disk.thin) == (False, False, True)
    assert disk.serial
    assert found.nics[0].network == "VM Network"
    assert found.nics[0].model == "vmxnet3"
    assert "export stream" in found.reading


def test_what_stands_in_the_way_is_seen(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(
        firmware="efi",
        cbt=True,
        devices=["usb", "tpm", "pci", "cdrom"],
        disks=[
            {"size": 1 << 20, "mode": "independent_persistent"},
            {"size": 1 << 20, "shared": True},
            {"size": 1 << 20, "rdm": "physicalMode"},
        ],
        extra={
            "numa.nodeAffinity": "0",
            "scsi0:1.ctkEnabled": "TRUE",
            "guestinfo.userdata": "s3cret",
        },
        snapshots=2,
    )
    found = hypervisor.details.details(name)
    assert found.firmware == "uefi"
    assert found.numa_affinity is True
    assert found.snapshots == 2
    assert {device.kind for device in found.devices} >= {"usb", "tpm", "passthrough", "cdrom"}
    independent, shared, rdm = found.disks
    assert independent.independent is True
    assert independent.shared is False
    assert shared.shared is True
    assert shared.changed_blocks is True
    assert rdm.backing == "rdm-physical"
    assert found.settings["guestinfo.userdata"] == "***"
    assert found.settings["numa.nodeAffinity"] == "0"


def test_rules_of_the_cluster(hypervisor: VsphereHypervisor, made: Made) -> None:
    one, other = made(), made()
    connection = hypervisor.connection
    machines = [connection.vm(one), connection.vm(other)]
    host = connection.get(machines[0], "runtime.host")["runtime.host"]
    cluster = connection.get(host, "parent")["parent"]
    rule = vim.cluster.AntiAffinityRuleSpec(name="apart", enabled=True, vm=machines)
    spec = vim.cluster.ConfigSpecEx(
        rulesSpec=[vim.cluster.RuleSpec(operation="add", info=rule)],
        drsConfig=vim.cluster.DrsConfigInfo(enabled=True),
    )
    connection.task(lambda: cluster.ReconfigureComputeResource_Task(spec, True), "add a rule")
    try:
        assert hypervisor.details.details(one).host_affinity is True
        assert hypervisor.details.details(one).balanced is True
    finally:
        rules = connection.get(cluster, "configurationEx")["configurationEx"].rule
        removed = vim.cluster.ConfigSpecEx(
            rulesSpec=[
                vim.cluster.RuleSpec(operation="remove", removeKey=each.key) for each in rules
            ]
        )
        connection.task(
            lambda: cluster.ReconfigureComputeResource_Task(removed, True), "remove the rule"
        )


def test_nobody_of_that_name(hypervisor: VsphereHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        hypervisor.details.details("kit-nobody")
