"""Descriptors say the same after a round trip; those of other products are understood."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import InvalidInput
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.reading import read_ovf
from hypersdk.ovf.writing import write_ovf

GIB = 1 << 30
MACHINE = OvfMachine(
    name="web <1> & ü",
    vcpus=4,
    memory=6 * GIB,
    disks=(
        OvfDisk(id="vda", file="web-disk1.vmdk", capacity=20 * GIB, file_size=123, populated=99,
                bus="scsi", controller="VirtualSCSI", unit=0, boot_order=0),
        OvfDisk(id="vdb", file="web-disk2.vmdk", capacity=512, bus="sata",
                controller="vmware.sata.ahci", controller_number=1, unit=3, compression="gzip"),
        OvfDisk(id="vdc", file="", capacity=GIB, bus="ide", controller="PIIX4"),
        OvfDisk(id="vdd", file="web-disk4.vmdk", capacity=GIB, bus="nvme",
                controller="vmware.nvme.controller"),
    ),
    nics=(OvfNic(network="prod", model="VmxNet3", mac="52:54:00:aa:bb:cc"),
          OvfNic(network="back end", model="E1000")),
    firmware="uefi",
    secure_boot=True,
    os_id=94,
    os_type="ubuntu64Guest",
    hardware="vmx-19",
    description="two\nlines",
    files=("web.nvram",),
)  # fmt: skip

#: As VirtualBox writes it: other units, several HostResource, its own machine element.
VIRTUALBOX = b"""<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References><File ovf:href="box-disk001.vmdk" ovf:id="file1"/></References>
  <DiskSection><Info>d</Info>
    <Disk ovf:capacity="8" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk1"
      ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="box"><Info>v</Info>
    <OperatingSystemSection ovf:id="96"><Info>o</Info></OperatingSystemSection>
    <VirtualHardwareSection><Info>h</Info>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent>
        <rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>6</rasd:InstanceID>
        <rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:Connection>NAT</rasd:Connection><rasd:InstanceID>7</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
    <vbox:Machine><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>
  </VirtualSystem>
</Envelope>"""

#: 2.0 has elements of their own for storage and network.
VERSION_2 = b"""<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2"
  xmlns:sasd="urn:s" xmlns:epasd="urn:e" xmlns:rasd="urn:r">
  <ovf:References><ovf:File ovf:id="f" ovf:href="d.qcow2" ovf:size="77"/></ovf:References>
  <ovf:DiskSection><ovf:Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="4096"/></ovf:DiskSection>
  <ovf:VirtualSystem ovf:id="two"><ovf:VirtualHardwareSection>
    <ovf:Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
      <rasd:VirtualQuantity>3</rasd:VirtualQuantity>
      <rasd:AllocationUnits>byte * 2^30</rasd:AllocationUnits></ovf:Item>
    <ovf:StorageItem><sasd:HostResource>ovf:/disk/d</sasd:HostResource>
      <sasd:ResourceType>17</sasd:ResourceType></ovf:StorageItem>
    <ovf:EthernetPortItem><epasd:Connection>lan</epasd:Connection>
      <epasd:ResourceType>10</epasd:ResourceType></ovf:EthernetPortItem>
  </ovf:VirtualHardwareSection></ovf:VirtualSystem></ovf:Envelope>"""


def test_a_round_trip_changes_nothing() -> None:
    assert read_ovf(write_ovf(MACHINE)) == MACHINE


names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1).map(str.strip)


@given(
    name=names.filter(bool),
    vcpus=st.integers(1, 768),
    memory=st.integers(1, 1 << 20),
    sizes=st.lists(st.integers(0, 62 << 40), max_size=5),
)
def test_any_machine_comes_back(name: str, vcpus: int, memory: int, sizes: list[int]) -> None:
    disks = tuple(
        OvfDisk(id=f"d{number}", file=f"{number}.vmdk", capacity=size, unit=number,
                controller="lsilogic")
        for number, size in enumerate(sizes)
    )  # fmt: skip
    machine = OvfMachine(
        name=name, vcpus=vcpus, memory=memory << 20, disks=disks, hardware="vmx-11"
    )
    assert read_ovf(write_ovf(machine)) == machine


def test_virtualbox() -> None:
    machine = read_ovf(VIRTUALBOX)
    assert (machine.name, machine.vcpus, machine.memory) == ("box", 2, GIB)
    assert machine.firmware == "uefi"
    (disk,) = machine.disks
    assert (disk.file, disk.capacity, disk.bus, disk.unit) == (
        "box-disk001.vmdk",
        8 * GIB,
        "sata",
        1,
    )
    assert machine.nics == (OvfNic(network="NAT", model="E1000"),)


def test_version_2() -> None:
    machine = read_ovf(VERSION_2)
    assert (machine.name, machine.memory) == ("two", 3 * GIB)
    assert [(disk.file, disk.file_size, disk.capacity) for disk in machine.disks] == [
        ("d.qcow2", 77, 4096)
    ]
    assert machine.nics == (OvfNic(network="lan"),)


@pytest.mark.parametrize("href", ["../../etc/shadow", "/etc/shadow", "a\\b", "", ".."])
def test_files_elsewhere_are_refused(href: str) -> None:
    hostile = VERSION_2.replace(b"d.qcow2", href.encode())
    with pytest.raises(InvalidInput, match="no file beside it"):
        read_ovf(hostile)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"ovf:/disk/d", b"ovf:/disk/other", "DiskSection lacks"),
        (b'fileRef="f"', b'fileRef="g"', "unlisted file"),
        (b'capacity="4096"', b'capacity="-1"', "no capacity"),
        (b"byte * 2^30", b"byte * 2^9999999", "not a unit"),
        (b"byte * 2^30", b"furlong", "not a unit"),
        (b"VirtualSystem ", b"VirtualSystemCollection ", "0 virtual systems|no OVF"),
    ],
)
def test_what_leads_nowhere_is_refused(old: bytes, new: bytes, words: str) -> None:
    broken = VERSION_2.replace(old, new)
    if b"Collection" in new:
        broken = broken.replace(b"</ovf:VirtualSystem>", b"</ovf:VirtualSystemCollection>")
    with pytest.raises(InvalidInput, match=words):
        read_ovf(broken)


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"<a/>",
        b"\xff\xfe garbage",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Envelope>&b;</Envelope>',
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Envelope>&f;</Envelope>',
        b"<Envelope>" * 100_000,
    ],
)
def test_hostile_documents_are_refused(hostile: bytes) -> None:
    with pytest.raises(InvalidInput, match="no OVF descriptor"):
        read_ovf(hostile)


@given(st.binary(max_size=400), st.integers(0, len(VIRTUALBOX) - 1))
def test_changed_documents_give_a_machine_or_an_error(noise: bytes, at: int) -> None:
    broken = VIRTUALBOX[:at] + noise + VIRTUALBOX[at + len(noise) :]
    with contextlib.suppress(InvalidInput):
        read_ovf(broken)


def test_disks_without_a_controller_go_to_scsi() -> None:
    lonely = VIRTUALBOX.replace(b"<rasd:Parent>5</rasd:Parent>", b"")
    assert read_ovf(lonely).disks[0].bus == "scsi"


def test_sizes_that_are_not_known_are_not_claimed() -> None:
    unknown = replace(MACHINE, disks=(replace(MACHINE.disks[0], file_size=0, populated=0),))
    text = write_ovf(unknown).decode()
    assert "ovf:size=" not in text
    assert "populatedSize" not in text
