from __future__ import annotations

import json

from hypersdk.flows.exporting.description import Description, WrittenDisk, os_id
from hypersdk.model.details import GuestDetails, InstanceDetails, NicDetails
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState
from hypersdk.ovf.machine import OvfDisk, OvfMachine
from hypersdk.ovf.reading import read_ovf
from hypersdk.ovf.writing import write_ovf

MIB = 1 << 20


def instance(*names: str) -> Instance:
    disks = tuple(Disk(name, MIB) for name in names)
    return Instance("id", "web", InstanceState.STOPPED, 2, 512 * MIB, disks)


def written(machine: Instance) -> list[WrittenDisk]:
    return [
        WrittenDisk(disk=disk, file=f"web-disk-{number}.vmdk", format="stream-vmdk", file_size=700)
        for number, disk in enumerate(machine.disks)
    ]


def test_details_come_into_the_descriptor() -> None:
    found = instance("scsi0-0", "scsi0-1")
    details = InstanceDetails(
        instance=found,
        firmware="uefi",
        secure_boot=True,
        hardware="vmx-19",
        nics=(NicDetails(name="nic0", mac="00:50:56:00:00:01", network="LAN", model="e1000"),),
        guest=GuestDetails(os_id="ubuntu64Guest"),
    )
    text = Description(instance=found, details=details).descriptor("web", written(found), {})
    machine = read_ovf(text)
    assert (machine.vcpus, machine.memory, machine.firmware) == (2, 512 * MIB, "uefi")
    assert machine.secure_boot
    assert (machine.os_id, machine.os_type, machine.hardware) == (94, "ubuntu64Guest", "vmx-19")
    assert [(nic.network, nic.model) for nic in machine.nics] == [("LAN", "E1000")]
    assert [(disk.unit, disk.file_size) for disk in machine.disks] == [(0, 700), (1, 700)]


def test_a_hypervisors_own_definition_says_more() -> None:
    found = instance("vda")
    definition = {
        "disks": [{"name": "vda", "bus": "sata"}],
        "nics": [{"mac": "02:00:00:00:00:01", "network": "lab", "model": "e1000"}],
        "settings": {"firmware": "uefi"},
    }
    described = Description(
        instance=found, definition=Definition("mock-json", json.dumps(definition).encode())
    )
    machine = read_ovf(described.descriptor("web", written(found), {}))
    assert (machine.firmware, machine.disks[0].bus) == ("uefi", "sata")
    assert machine.nics[0].network == "lab"


def test_a_definition_that_makes_no_sense_says_nothing() -> None:
    found = instance("vda")
    described = Description(instance=found, definition=Definition("mock-json", b"{"))
    assert read_ovf(described.descriptor("web", written(found), {})).firmware == "bios"


def test_seventeen_disks_need_a_second_controller() -> None:
    found = instance(*(f"sd{number}" for number in range(17)))
    machine = read_ovf(Description(instance=found).descriptor("web", written(found), {}))
    places = [(disk.controller_number, disk.unit) for disk in machine.disks]
    assert len(set(places)) == 17
    assert (0, 7) not in places
    assert places[-1] == (1, 1)


def test_a_descriptor_of_the_hypervisors_own_is_kept_and_corrected() -> None:
    own = write_ovf(
        OvfMachine(
            name="web",
            vcpus=4,
            memory=MIB,
            description="made by its vendor",
            disks=tuple(
                OvfDisk(id=f"d{number}", file=f"x{number}.vmdk", capacity=MIB, unit=number)
                for number in range(2)
            ),
        )
    )
    found = instance("scsi0-0", "scsi0-1")
    described = Description(instance=found, definition=Definition("ovf", own))
    machine = read_ovf(described.descriptor("web", written(found)[1:], {}))
    assert machine.description == "made by its vendor"
    assert [(disk.id, disk.file) for disk in machine.disks] == [("d1", "web-disk-1.vmdk")]


def test_a_descriptor_that_cannot_be_read_is_not_kept() -> None:
    found = instance("scsi0-0")
    described = Description(instance=found, definition=Definition("ovf", b"<html/>"))
    assert read_ovf(described.descriptor("web", written(found), {})).name == "web"


def test_operating_systems_have_numbers() -> None:
    assert os_id("windows2019srv_64Guest") == 103
    assert os_id("something") == 1
