from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.flows.importing.machines import bus_of, spec_of
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.resources import Network
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic

MIB = 1 << 20


@pytest.fixture
def qmp() -> Iterator[QmpHypervisor]:
    """In a folder with a short name, below which sockets can be reached."""
    with tempfile.TemporaryDirectory(prefix="qmp-") as folder:
        hypervisor = QmpHypervisor(Path(folder) / "q")
        yield hypervisor
        hypervisor.close()


MACHINE = OvfMachine(
    name="web",
    vcpus=2,
    memory=512 * MIB,
    firmware="uefi",
    disks=(OvfDisk(id="d1", file="d1.vmdk", capacity=MIB, bus="scsi", controller="lsilogic"),),
    nics=(OvfNic(network="VM Network", model="VmxNet3", mac="00:50:56:00:00:01"),),
)


@pytest.mark.parametrize(
    ("bus", "controller", "expected"),
    [
        ("scsi", "lsilogic", "scsi"),
        ("scsi", "VirtualSCSI", "virtio"),
        ("virtio", "", "virtio"),
        ("sata", "AHCI", "sata"),
        ("ide", "PIIX4", "sata"),
        ("nvme", "vmware.nvme.controller", "virtio"),
    ],
)
def test_buses_become_what_every_hypervisor_has(bus: str, controller: str, expected: str) -> None:
    disk = OvfDisk(id="x", file="x", capacity=1, bus=bus, controller=controller)
    assert bus_of(disk) == expected


def test_where_there_are_no_networks_cards_have_none_and_it_is_said(qmp: QmpHypervisor) -> None:
    warnings: list[str] = []
    spec = spec_of(MACHINE, qmp, ImportOptions(), warnings)
    assert [(nic.network, nic.mac) for nic in spec.nics] == [("", "")]
    assert "VM Network" in warnings[0]
    assert (spec.name, spec.vcpus, spec.memory, spec.firmware) == ("web", 2, 512 * MIB, "uefi")


def test_wishes_win(qmp: QmpHypervisor) -> None:
    options = ImportOptions(
        name="x", vcpus=1, memory=MIB, firmware="bios", bus="sata", keep_macs=True, folder="a/b"
    )
    spec = spec_of(MACHINE, qmp, options, [])
    assert (spec.name, spec.vcpus, spec.memory, spec.firmware) == ("x", 1, MIB, "bios")
    assert (spec.disks[0].bus, spec.nics[0].mac, spec.folder) == (
        "sata",
        "00:50:56:00:00:01",
        "a/b",
    )


def test_a_network_that_is_not_here_is_said_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    mock = MockHypervisor(tmp_path / "m")
    with pytest.raises(NotFound) as caught:
        spec_of(MACHINE, mock, ImportOptions(), [])
    assert caught.value.hint == (
        "It has no networks at all: make one, or leave the card out: --map-network 'VM Network=-'."
    )
    mock.networks.create_network(Network("lab"))
    with pytest.raises(NotFound) as caught:
        spec_of(MACHINE, mock, ImportOptions(), [])
    assert "--map-network 'VM Network=NETWORK' with one of lab," in caught.value.hint


def test_storage_is_a_folder_or_a_pool_that_exists(qmp: QmpHypervisor) -> None:
    spec = spec_of(MACHINE, qmp, ImportOptions(storage="/srv/disks/"), [])
    assert spec.disks[0].path == "/srv/disks/web-0.qcow2"
    with pytest.raises(InvalidInput):
        spec_of(MACHINE, qmp, ImportOptions(storage="pool"), [])
