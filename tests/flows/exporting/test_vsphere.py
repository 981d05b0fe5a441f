"""Exports of virtual machines of a vCenter. What goes wrong on the way: tests/flows/vsphere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import hypersdk
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.exporting.batch import export_batch
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import (
    BatchLimits,
    ExportOptions,
    SnapshotOptions,
)
from hypersdk.flows.exporting.results import BatchState
from hypersdk.flows.importing.importing import import_package
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.ovf.reading import read_ovf
from tests.components import require
from tests.flows.exporting.examples import DISKS, MIB, contents, mock_with
from tests.vsphere.lab import VsphereLab

DISK = DISKS["vda"]


@pytest.fixture(scope="module")
def vcenter(vsphere_lab: VsphereLab) -> Iterator[Hypervisor]:
    hypervisor = hypersdk.connect(vsphere_lab.url)
    yield hypervisor
    hypervisor.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "disk.raw"
    path.write_bytes(DISK)
    return path


@pytest.fixture
def machine(vsphere_lab: VsphereLab, image: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A running machine with two disks."""
    name = f"export-{abs(hash(request.node.name)) % 10**8}"
    disks = [{"source": str(image)}, {"size": 8 * MIB}]
    vsphere_lab.add_vm(
        name=name, disks=disks, nics=[{"network": "VM Network"}], cbt=True, running=True
    )
    yield name
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm(name)


def assert_clean(lab: VsphereLab, name: str) -> None:
    state = lab.state()
    assert state["leases"] == []
    assert [each for each in state["snapshots"] if each["vm"] == name] == []
    assert state["streams"]["open"] == 0


@pytest.mark.parametrize("format", ["ovf", "ova", "qcow2"])
def test_the_disks_come_over_and_go_back(
    vcenter: Hypervisor, vsphere_lab: VsphereLab, machine: str, tmp_path: Path, format: str
) -> None:
    require("qemu-img", "qemu-nbd")
    options = ExportOptions(format=format, verify=True, manifest=True)
    exported = export_instance(vcenter, machine, tmp_path / "a", options=options)
    assert exported.verified
    assert_clean(vsphere_lab, machine)
    (tmp_path / "m").mkdir()
    mock = MockHypervisor(tmp_path / "m")
    import_package(
        tmp_path / "a", mock, options=ImportOptions(name="x", networks={"VM Network": "-"})
    )
    assert contents(mock, "x") == [DISK, bytes(8 * MIB)]
    back = f"{machine}-back"
    imported = import_package(tmp_path / "a", vcenter, options=ImportOptions(name=back))
    try:
        assert imported.verified
        raw = export_instance(vcenter, back, tmp_path / "b", options=ExportOptions(format="raw"))
        found = [(tmp_path / "b" / disk.file).read_bytes() for disk in raw.disks]
        assert found == [DISK, bytes(8 * MIB)]
    finally:
        vsphere_lab.remove_vm(back)


def test_what_vsphere_packed_is_stored_as_it_came(
    vcenter: Hypervisor, machine: str, tmp_path: Path
) -> None:
    export_instance(vcenter, machine, tmp_path / "a")
    name = f"{machine}-disk-0.vmdk"
    head = (tmp_path / "a" / name).read_bytes()[:4096]
    assert name.encode() not in head  # packed here, it would carry the name of its file
    described = read_ovf((tmp_path / "a" / f"{machine}.ovf").read_bytes())
    assert [disk.file for disk in described.disks] == [name, f"{machine}-disk-1.vmdk"]
    assert [nic.network for nic in described.nics] == ["VM Network"]


def test_a_machine_of_another_hypervisor_comes_in(
    vcenter: Hypervisor, vsphere_lab: VsphereLab, tmp_path: Path
) -> None:
    mock = mock_with(tmp_path / "lab", name="incoming")
    export_instance(mock, "incoming", tmp_path / "a", options=ExportOptions(format="ova"))
    import_package(tmp_path / "a" / "incoming.ova", vcenter)
    try:
        exported = export_instance(
            vcenter, "incoming", tmp_path / "b", options=ExportOptions(format="raw")
        )
        found = [(tmp_path / "b" / disk.file).read_bytes() for disk in exported.disks]
        assert found == list(DISKS.values())
    finally:
        vsphere_lab.remove_vm("incoming")


def test_an_explicit_snapshot_is_read_and_deleted(
    vcenter: Hypervisor, vsphere_lab: VsphereLab, machine: str, tmp_path: Path
) -> None:
    wanted = SnapshotOptions(name="mine", quiesce=False)
    options = ExportOptions(format="raw", snapshot=wanted)
    exported = export_instance(vcenter, machine, tmp_path, options=options)
    assert (tmp_path / exported.disks[0].file).read_bytes() == DISK
    assert not any("cannot read snapshots" in warning for warning in exported.warnings)
    assert_clean(vsphere_lab, machine)


def test_one_that_is_kept_stays(
    vcenter: Hypervisor, vsphere_lab: VsphereLab, machine: str, tmp_path: Path
) -> None:
    wanted = SnapshotOptions(name="mine", quiesce=False, delete=False)
    export_instance(vcenter, machine, tmp_path, options=ExportOptions(snapshot=wanted))
    kept = [each["name"] for each in vsphere_lab.state()["snapshots"] if each["vm"] == machine]
    assert kept == ["mine"]


def test_limits_of_hosts_are_kept(
    vcenter: Hypervisor, vsphere_lab: VsphereLab, tmp_path: Path
) -> None:
    names = [f"crowd-{number}" for number in range(6)]
    hosts = ["DC0_C0_H0", "DC0_C0_H1"]
    for number, name in enumerate(names):
        vsphere_lab.add_vm(name=name, disks=[{"size": 4 * MIB}], host=hosts[number % 2])
    try:
        report = export_batch(
            vcenter,
            names,
            tmp_path,
            options=ExportOptions(parallel=1),
            limits=BatchLimits(total=6, per_host=1),
        )
        assert {item.state for item in report.items} == {BatchState.EXPORTED}
    finally:
        for name in names:
            vsphere_lab.remove_vm(name)
