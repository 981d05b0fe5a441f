"""What the kit does not tell of making, running and deleting machines."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import (
    GuestAgentMissing,
    Interrupted,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.vsphere.conftest import Made
from tests.drivers.vsphere.machines import Create, create
from tests.vsphere.lab import VsphereLab

__all__ = ["create"]


def test_disks_lie_where_their_pool_is(hypervisor: VsphereHypervisor, create: Create) -> None:
    name = create(
        disks=(
            DiskSpec(size=4 * MIB, pool="LocalDS_1"),
            DiskSpec(size=MIB, pool="LocalDS_0", bus="sata"),
            DiskSpec(name="nvme0-3", size=2 * MIB, bus="nvme"),
        )
    )
    found = {disk.name: disk for disk in hypervisor.inventory.instance(name).disks}
    assert {disk: found[disk].size for disk in found} == {
        "scsi0-0": 4 * MIB,
        "sata0-0": MIB,
        "nvme0-3": 2 * MIB,
    }
    assert found["scsi0-0"].path.startswith("[LocalDS_1] ")
    assert found["sata0-0"].path.startswith("[LocalDS_0] ")
    assert found["nvme0-3"].path.startswith("[LocalDS_1] ")


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"disks": (DiskSpec(size=MIB, pool="LocalDS_9"),)}, NotFound, "LocalDS_9"),
        ({"nics": (NicSpec(network="nowhere"),)}, NotFound, "nowhere"),
        ({"nics": (NicSpec(),)}, InvalidInput, "names no network"),
        ({"nics": (NicSpec(bridge="br0"),)}, InvalidInput, "br0"),
        ({"cdrom": "[LocalDS_0] none.iso"}, NotFound, "none.iso"),
        ({"disks": (DiskSpec(path="[LocalDS_0] no/disk.vmdk"),)}, NotFound, "no/disk.vmdk"),
        ({"disks": (DiskSpec(name="ide0-0", size=MIB),)}, InvalidInput, "ide0"),
    ],
)
def test_what_is_not_there_is_named(
    create: Create, fields: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        create(**fields)


def test_a_folder_for_nothing_is_removed(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab
) -> None:
    folder = uuid4().hex
    spec = InstanceSpec(name=uuid4().hex, folder=folder, memory=64 * MIB)
    with (
        vsphere_lab.faulty("soap_fault", method="CreateVM_Task", fault="NoDiskSpace", times=1),
        pytest.raises(LimitExceeded, match=spec.name),
    ):
        hypervisor.lifecycle.create(spec)
    index = hypervisor.connection.content.searchIndex
    assert index.FindByInventoryPath(f"DC0/vm/{folder}") is None


def test_an_interrupted_create_leaves_nothing(hypervisor: VsphereHypervisor) -> None:
    spec = InstanceSpec(name=uuid4().hex, memory=64 * MIB)
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        hypervisor.lifecycle.create(spec)
    assert spec.name not in {each.name for each in hypervisor.inventory.instances()}


def test_without_tools_nobody_is_asked(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(tools=False, running=True)
    with pytest.raises(GuestAgentMissing, match=name):
        hypervisor.lifecycle.stop(name)
    assert hypervisor.inventory.instance(name).state is InstanceState.RUNNING


def test_guests_with_tools_shut_down(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(tools=True, running=True)
    hypervisor.lifecycle.stop(name, timeout=60)
    assert hypervisor.inventory.instance(name).state is InstanceState.STOPPED


def test_what_is_deleted_without_disks_can_be_used_again(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, create: Create
) -> None:
    first = create()
    vsphere_lab.write(first, 0, [{"offset": 0, "length": 4096, "seed": "kept"}])
    wanted = vsphere_lab.content(first, 0)
    (disk,) = hypervisor.inventory.instance(first).disks
    hypervisor.lifecycle.delete(first)
    second = create(disks=(DiskSpec(path=disk.path),))
    assert vsphere_lab.content(second, 0) == wanted


def test_disks_that_others_use_stay(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, create: Create
) -> None:
    first = create()
    (disk,) = hypervisor.inventory.instance(first).disks
    second = create(disks=(DiskSpec(path=disk.path),))
    hypervisor.lifecycle.delete(first, disks=True)
    assert len(vsphere_lab.content(second, 0)) == 4 * MIB


def test_templates_are_not_started(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(template=True)
    with pytest.raises(InvalidState, match="template"):
        hypervisor.lifecycle.start(name)


def test_another_task_is_waited_for(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, create: Create
) -> None:
    name = create()
    with vsphere_lab.faulty(
        "soap_fault", method="PowerOnVM_Task", fault="ConcurrentAccess", times=2
    ):
        hypervisor.lifecycle.start(name)
    assert hypervisor.inventory.instance(name).state is InstanceState.RUNNING
