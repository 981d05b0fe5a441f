"""What the kit does not tell of hotplug."""

from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, LimitExceeded, NotFound
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.vsphere.conftest import Made
from tests.drivers.vsphere.machines import Create, create
from tests.vsphere.lab import VsphereLab

__all__ = ["create"]

NIC = NicSpec(network="VM Network")


def test_a_detached_disk_goes_to_another(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, create: Create
) -> None:
    first, second = create(), create()
    disk = hypervisor.hotplug.attach_disk(first, DiskSpec(size=MIB, bus="sata"))
    vsphere_lab.write(first, 1, [{"offset": 0, "length": 512, "seed": "moves"}])
    wanted = vsphere_lab.content(first, 1)
    hypervisor.hotplug.detach_disk(first, disk.name)
    again = hypervisor.hotplug.attach_disk(second, DiskSpec(path=disk.path))
    assert (again.path, again.size) == (disk.path, MIB)
    assert vsphere_lab.content(second, 1) == wanted


def test_disks_go_to_the_pool_that_is_named(hypervisor: VsphereHypervisor, create: Create) -> None:
    name = create()
    disk = hypervisor.hotplug.attach_disk(name, DiskSpec(size=MIB, pool="LocalDS_1"))
    assert disk.path.startswith("[LocalDS_1] ")
    with pytest.raises(InvalidInput, match="no size"):
        hypervisor.hotplug.attach_disk(name, DiskSpec())


def test_a_given_address_is_kept(hypervisor: VsphereHypervisor, create: Create) -> None:
    name = create()
    nic = NicSpec(network="VM Network", mac="00:50:56:00:12:34")
    assert hypervisor.hotplug.attach_nic(name, nic) == nic.mac
    with pytest.raises(AlreadyExists, match=nic.mac):
        hypervisor.hotplug.attach_nic(name, nic)
    hypervisor.hotplug.detach_nic(name, nic.mac.upper())


def test_distributed_port_groups_are_networks(
    hypervisor: VsphereHypervisor, create: Create
) -> None:
    assert hypervisor.hotplug.attach_nic(create(), NicSpec(network="DC0_DVPG0"))


def test_without_room_a_running_one_gets_no_more(
    hypervisor: VsphereHypervisor, create: Create
) -> None:
    name = create(vcpus=2, memory=128 * MIB)
    hypervisor.lifecycle.start(name)
    with pytest.raises(LimitExceeded, match="runs and was made without room"):
        hypervisor.hotplug.set_vcpus(name, 3)
    with pytest.raises(LimitExceeded, match="runs and was made without room"):
        hypervisor.hotplug.set_memory(name, 256 * MIB)
    with pytest.raises(InvalidState, match="less"):
        hypervisor.hotplug.set_vcpus(name, 1)
    with pytest.raises(InvalidState, match="less"):
        hypervisor.hotplug.set_memory(name, 64 * MIB)
    hypervisor.lifecycle.stop(name, force=True)
    hypervisor.hotplug.set_vcpus(name, 3)
    hypervisor.hotplug.set_memory(name, 256 * MIB)
    found = hypervisor.inventory.instance(name)
    assert (found.vcpus, found.memory) == (3, 256 * MIB)


def test_more_than_the_noted_room_is_refused(hypervisor: VsphereHypervisor, create: Create) -> None:
    name = create(vcpus_maximum=2, memory_maximum=128 * MIB)
    with pytest.raises(LimitExceeded, match="room for less than 3 processors"):
        hypervisor.hotplug.set_vcpus(name, 3)
    with pytest.raises(LimitExceeded, match="room for less"):
        hypervisor.hotplug.set_memory(name, 256 * MIB)


def test_weights_stay_when_processors_come(hypervisor: VsphereHypervisor, create: Create) -> None:
    name = create(cpu_weight=50)
    hypervisor.hotplug.set_vcpus(name, 4)
    vm = hypervisor.connection.vm(name)
    found = hypervisor.connection.get(vm, "config.cpuAllocation")["config.cpuAllocation"]
    assert found.shares.shares == 2000


def test_media_are_changed(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    name = made(devices=["cdrom"])
    connection = hypervisor.connection
    other = made(disks=[{"size": MIB}])
    image = next(disk.path for disk in hypervisor.inventory.instance(other).disks)
    drive = hypervisor.hotplug.insert_media(name, image)
    devices = connection.get(connection.vm(name), "config.hardware.device")
    files = [
        getattr(device.backing, "fileName", "") for device in devices["config.hardware.device"]
    ]
    assert image in files
    hypervisor.hotplug.eject_media(name, drive)
    hypervisor.hotplug.eject_media(name)
    with pytest.raises(NotFound, match="no CD drive ide9-0"):
        hypervisor.hotplug.eject_media(name, "ide9-0")
