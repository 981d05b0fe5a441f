"""Machines come in from OVF and disks: wholly, or not at all."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hypersdk.datapath.memory import MemorySource
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.streamvmdkwriter import write_stream_vmdk
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.vsphere.provisioning import (
    LeaseSink,
    VsphereBuilding,
    VsphereProvisioning,
)
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Definition, Disk, InstanceState
from tests.drivers.vsphere.reading import DISK, SIZE, Machines, machines, read_all

__all__ = ["machines"]


class Kept:
    """What a backup of a machine keeps."""

    def __init__(self, machines: Machines, name: str) -> None:
        with machines.disks.view(name, {}) as view:
            assert view.definition is not None
            self.definition = view.definition
            self.disks = [disk.disk for disk in view.disks]
            self.content = read_all(view)


@pytest.fixture
def provisioning(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> VsphereProvisioning:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return VsphereProvisioning(machines.connection)


def written(building: VsphereBuilding, kept: Kept) -> None:
    for name, content in kept.content.items():
        with building.sink(name) as sink:
            copy(MemorySource(content), sink)


def test_a_restored_machine_is_as_it_was(
    machines: Machines, provisioning: VsphereProvisioning, tmp_path: Path
) -> None:
    name = machines.make(disks=2, firmware="efi")
    kept = Kept(machines, name)
    placement = Placement(name=f"{name}-again", tags={"hypersdk.job": "01 = a"})
    with provisioning.build(kept.definition, kept.disks, placement) as building:
        assert building.name == f"{name}-again"
        assert building.path(DISK).endswith("scsi0-0.vmdk")
        written(building, kept)
        instance = building.commit()
    assert (instance.name, instance.state) == (f"{name}-again", InstanceState.STOPPED)
    assert instance.tags["hypersdk.job"] == "01 = a"
    assert [disk.size for disk in instance.disks] == [SIZE, SIZE]
    for number in range(2):
        found = machines.lab.content(f"{name}-again", number)
        assert found == kept.content[f"scsi0-{number}"]
    assert not os.listdir(tmp_path)
    machines.settled(f"{name}-again")
    provisioning.discard(f"{name}-again", ())
    provisioning.discard(f"{name}-again", ())


def test_a_disk_goes_up_as_it_is_packed(
    machines: Machines, provisioning: VsphereProvisioning
) -> None:
    name = machines.make()
    kept = Kept(machines, name)
    new = f"{name}-new"
    with provisioning.build(kept.definition, kept.disks, Placement(name=new)) as building:
        with building.sink(DISK) as sink:
            assert isinstance(sink, LeaseSink)
            write_stream_vmdk(MemorySource(kept.content[DISK]), sink.stream(), name="a.vmdk")
        building.commit()
    assert machines.lab.content(new, 0) == kept.content[DISK]
    provisioning.discard(new, ())


def test_what_is_not_committed_leaves_nothing(
    machines: Machines, provisioning: VsphereProvisioning, tmp_path: Path
) -> None:
    name = machines.make()
    kept = Kept(machines, name)
    with provisioning.build(kept.definition, kept.disks, Placement(name=f"{name}-x")) as building:
        written(building, kept)
    with provisioning.build(kept.definition, kept.disks, Placement(name=f"{name}-x")) as building:
        sink = building.sink(DISK)
        assert isinstance(sink, LeaseSink)
        sink.stream().write(b"half a disk")
    with pytest.raises(InstanceNotFound):
        machines.connection.vm(f"{name}-x")
    machines.settled(f"{name}-x")
    assert not os.listdir(tmp_path)


def test_a_taken_name_is_refused_or_replaced(
    machines: Machines, provisioning: VsphereProvisioning
) -> None:
    name = machines.make()
    kept = Kept(machines, name)
    with pytest.raises(AlreadyExists, match=name):
        provisioning.build(kept.definition, kept.disks, Placement(name=name))
    machines.lab.write(name, 0, [{"offset": 0, "length": 512, "seed": "later"}])
    placement = Placement(name=name, overwrite=True)
    with provisioning.build(kept.definition, kept.disks, placement) as building:
        written(building, kept)
        instance = building.commit()
    assert instance.name == name
    assert machines.lab.content(name, 0) == kept.content[DISK]
    running = machines.make(running=True)
    with pytest.raises(InvalidState, match="running"):
        provisioning.build(kept.definition, kept.disks, Placement(name=running, overwrite=True))


def test_what_does_not_fit_is_refused_before_anything_is_made(
    machines: Machines, provisioning: VsphereProvisioning
) -> None:
    name = machines.make(nics=[{"network": "VM Network"}])
    kept, new = Kept(machines, name), f"{name}-new"
    with pytest.raises(InvalidInput, match="libvirt-xml"):
        provisioning.build(Definition("libvirt-xml", b""), (), Placement(name=new))
    with pytest.raises(NotFound, match="no network 'nowhere'") as raised:
        provisioning.build(
            kept.definition,
            kept.disks,
            Placement(name=new, networks={"VM Network": "nowhere"}),
        )
    assert "--map-network" in raised.value.hint
    with pytest.raises(NotFound, match="datastore 'nowhere'"):
        provisioning.build(kept.definition, kept.disks, Placement(name=new, pool="nowhere"))
    with pytest.raises(InvalidInput, match="do not fit"):
        provisioning.build(kept.definition, (), Placement(name=new))
    many = [*kept.disks, Disk("scsi0-7", SIZE)]
    with pytest.raises(InvalidInput, match="do not fit"):
        provisioning.build(kept.definition, many, Placement(name=new))
    with pytest.raises(InvalidInput):
        provisioning.build(Definition("ovf", b"<Envelope/>"), (), Placement(name=new))


@pytest.mark.parametrize("fault", ["lease_error", "drop_stream"])
def test_an_import_that_breaks_leaves_nothing(
    machines: Machines, provisioning: VsphereProvisioning, tmp_path: Path, fault: str
) -> None:
    name = machines.make()
    kept, new = Kept(machines, name), f"{name}-new"
    where = {} if fault == "lease_error" else {"at": 1000}
    machines.lab.fault(fault, vm=new, times=5, **where)

    def build() -> None:
        placement = Placement(name=new)
        with provisioning.build(kept.definition, kept.disks, placement) as building:
            written(building, kept)
            building.commit()

    with pytest.raises(HyperSDKError) as raised:
        build()
    machines.lab.clear_faults()
    assert new in raised.value.message
    with pytest.raises(InstanceNotFound):
        machines.connection.vm(new)
    machines.settled(new)
    assert not os.listdir(tmp_path)


def test_disks_that_are_sent_side_by_side_share_one_lease(
    machines: Machines, provisioning: VsphereProvisioning
) -> None:
    name = machines.make(disks=2)
    kept = Kept(machines, name)
    before = machines.lab.state()["calls"].get("ImportVApp", 0)
    placement = Placement(name=f"{name}-back")
    with (
        provisioning.build(kept.definition, kept.disks, placement) as building,
        ThreadPoolExecutor(2) as pool,
    ):
        list(pool.map(building.stream, kept.content))
        assert machines.lab.state()["calls"]["ImportVApp"] == before + 1
    machines.settled(f"{name}-back")
