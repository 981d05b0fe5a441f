from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import libvirt
import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.hotplug import LibvirtHotplug
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.libvirt.places import booted, hypervisor, place  # noqa: F401
from tests.kvm.domains import DiskSpec as LabDisk
from tests.kvm.domains import Guest, domain_xml
from tests.kvm.fixtures import Lab

pytestmark = pytest.mark.timeout(60)
INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


@pytest.fixture(scope="module")
def part(hypervisor: LibvirtHypervisor) -> LibvirtHotplug:  # noqa: F811
    assert hypervisor.hotplug is not None
    return hypervisor.hotplug


@pytest.fixture
def stopped(place: Lab) -> Iterator[libvirt.virDomain]:  # noqa: F811
    disks = [LabDisk("", "sda", "raw", device="cdrom", bus="sata")]
    xml = domain_xml("a & ü", disks).replace('<source file="" />', "")
    domain = place.connection.defineXML(xml)
    yield domain
    if domain.isActive():
        domain.destroy()
    domain.undefine()


def found(domain: libvirt.virDomain, path: str, flags: int = 0) -> list[ET.Element]:
    return ET.fromstring(domain.XMLDesc(flags)).findall(f"devices/{path}")


def targets(domain: libvirt.virDomain, flags: int = 0) -> list[str]:
    return [target.attrib["dev"] for target in found(domain, "disk/target", flags)]


def free_sockets(domain: libvirt.virDomain) -> bool:
    """Whether a PCIe port of a running machine has nothing in it."""
    ports = found(domain, "controller[@model='pcie-root-port']")
    buses = [address.attrib.get("bus") for address in found(domain, "*/address[@type='pci']")]
    return any(f"0x{int(port.attrib['index']):02x}" not in buses for port in ports)


def has(guest: Guest, path: str) -> bool:
    return guest.run(f"ls -d {path} 2>/dev/null || echo no") != "no\n"


def test_disk_comes_and_goes(part: LibvirtHotplug, booted: Guest, place: Lab) -> None:  # noqa: F811
    path = f"{place.folder}/plugged & ü.qcow2"
    disk = part.attach_disk("booted", DiskSpec(path=path, size=8 * MIB))
    assert (disk.name, disk.size, disk.format, disk.path) == ("vdb", 8 * MIB, "qcow2", path)
    booted.run("for i in 1 2 3 4 5 6 7 8 9; do [ -b /dev/vdb ] || sleep 0.2; done")
    booted.write("vdb", 0, b"plugged")
    assert targets(booted.domain) == targets(booted.domain, INACTIVE) == ["vda", "vdb"]
    with pytest.raises(AlreadyExists, match="has a disk 'vdb' already"):
        part.attach_disk("booted", DiskSpec(name="vdb", path=path))
    part.detach_disk("booted", "vdb")
    assert targets(booted.domain) == targets(booted.domain, INACTIVE) == ["vda"]
    assert not has(booted, "/dev/vdb")
    # Its content stayed, and the name is free again.
    assert part.attach_disk("booted", DiskSpec(path=path)).name == "vdb"
    booted.run("for i in 1 2 3 4 5 6 7 8 9; do [ -b /dev/vdb ] || sleep 0.2; done")
    assert booted.run("head -c 7 /dev/vdb") == "plugged"
    part.detach_disk("booted", "vdb")
    with pytest.raises(NotFound, match="'booted' has no disk 'vdb'"):
        part.detach_disk("booted", "vdb")


def test_nic_comes_and_goes(part: LibvirtHotplug, booted: Guest) -> None:  # noqa: F811
    mac = part.attach_nic("booted", NicSpec())
    assert mac.startswith("52:54:00:")
    for flags in (0, INACTIVE):
        assert [m.attrib["address"] for m in found(booted.domain, "interface/mac", flags)] == [mac]
    assert booted.run("cat /sys/bus/pci/devices/*/class").count("0x020000") == 1
    with pytest.raises(AlreadyExists, match=f"has a NIC {mac} already"):
        part.attach_nic("booted", NicSpec(mac=mac.upper()))
    part.detach_nic("booted", mac.upper())
    for flags in (0, INACTIVE):
        assert found(booted.domain, "interface", flags) == []
    with pytest.raises(NotFound, match=f"has no NIC {mac}"):
        part.detach_nic("booted", mac)
    with pytest.raises(NotFound, match="nowhere"):
        part.attach_nic("booted", NicSpec(network="nowhere"))


def test_guest_that_does_not_let_go(
    hypervisor: LibvirtHypervisor,  # noqa: F811
    stopped: libvirt.virDomain,
    place: Lab,  # noqa: F811
) -> None:
    """A machine without a system: its definition keeps the disk, and its files are untouched."""
    path = f"{place.folder}/kept.qcow2"
    connection = hypervisor._connection
    impatient = LibvirtHotplug(connection, Folders(connection), detach_seconds=0.5)
    impatient.attach_disk(stopped.name(), DiskSpec(path=path, size=MIB))
    stopped.create()
    with pytest.raises(OperationTimeout, match="does not let go of disk 'vda'"):
        impatient.detach_disk(stopped.name(), "vda")
    assert "vda" in targets(stopped)
    assert "vda" in targets(stopped, INACTIVE)
    stopped.destroy()
    impatient.detach_disk(stopped.name(), "vda")
    assert targets(stopped) == ["sda"]


def test_stopped_machine(part: LibvirtHotplug, stopped: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    name = stopped.name()
    disks = [
        part.attach_disk(
            name, DiskSpec(path=f"{place.folder}/{n}.raw", size=MIB, format="raw", bus=bus)
        )
        for n, bus in enumerate(("virtio", "scsi", "sata"))
    ]
    assert [disk.name for disk in disks] == ["vda", "sdb", "sdc"]
    assert disks[0].size == MIB
    (controller,) = found(stopped, "controller[@type='scsi']")
    assert controller.attrib["model"] == "virtio-scsi"
    mac = part.attach_nic(name, NicSpec(mac="52:54:00:AA:bb:cc"))
    assert mac == "52:54:00:aa:bb:cc"
    part.detach_nic(name, mac)
    part.detach_disk(name, "sdb")
    assert sorted(targets(stopped)) == ["sda", "sdc", "vda"]


def test_no_socket_left(part: LibvirtHotplug, stopped: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    """Nor does what was made for it stay."""
    stopped.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    while free_sockets(stopped):
        part.attach_nic(stopped.name(), NicSpec())
    with pytest.raises(LimitExceeded, match="no free socket") as failure:
        part.attach_nic(stopped.name(), NicSpec())
    assert "pcie-root-port" in failure.value.hint
    path = place.folder / "homeless.qcow2"
    with pytest.raises(LimitExceeded, match="attach disk 'vda'"):
        part.attach_disk(stopped.name(), DiskSpec(path=str(path), size=MIB))
    assert not path.exists()


def test_bus_that_cannot_be_plugged(
    part: LibvirtHotplug,
    stopped: libvirt.virDomain,
    place: Lab,  # noqa: F811
) -> None:
    stopped.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    path = place.folder / "sata.raw"
    spec = DiskSpec(path=str(path), size=MIB, format="raw", bus="sata")
    with pytest.raises(InvalidState, match="while it runs"):
        part.attach_disk(stopped.name(), spec)
    assert not path.exists()
    assert targets(stopped, INACTIVE) == ["sda"]


def test_requests_that_make_no_sense(part: LibvirtHotplug, stopped: libvirt.virDomain) -> None:
    name = stopped.name()
    with pytest.raises(InvalidInput, match="unknown bus"):
        part.attach_disk(name, DiskSpec(path="/x", bus="ide"))
    with pytest.raises(InvalidInput, match="not a MAC address"):
        part.attach_nic(name, NicSpec(mac="x"))
    with pytest.raises(InvalidInput, match="0 vCPUs"):
        part.set_vcpus(name, 0)
    with pytest.raises(InvalidInput, match="1 bytes of memory"):
        part.set_memory(name, 1)
    with pytest.raises(InvalidInput, match="must be absolute"):
        part.insert_media(name, "some.iso")
    with pytest.raises(InstanceNotFound):
        part.detach_disk("nobody", "vda")


def test_vcpus(part: LibvirtHotplug, place: Lab) -> None:  # noqa: F811
    """Added ones. Under emulation QEMU 7.2 never lets go of one, though its guest does."""
    xml = domain_xml("cpus", system=place.system).replace("<vcpu>1<", '<vcpu current="1">3<')
    guest = Guest.start(place.connection, xml)
    part.set_vcpus("cpus", 2)
    assert guest.domain.info()[3] == 2
    assert guest.domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_CONFIG) == 2
    guest.run("for i in 1 2 3 4 5; do [ -d /sys/devices/system/cpu/cpu1 ] || sleep 0.2; done")
    assert guest.run("ls -d /sys/devices/system/cpu/cpu1").strip()
    with pytest.raises(LimitExceeded, match="room for 3 vCPUs, not for 4"):
        part.set_vcpus("cpus", 4)
    guest.destroy()
    part.set_vcpus("cpus", 3)
    assert guest.domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_CONFIG) == 3
    guest.domain.undefine()


def test_memory(part: LibvirtHotplug, booted: Guest) -> None:  # noqa: F811
    """The lab's guest has no balloon driver: asking it is all there is to see."""
    part.set_memory("booted", 112 * MIB)
    current = ET.fromstring(booted.domain.XMLDesc(INACTIVE)).findtext("currentMemory")
    assert current == str(112 * 1024)
    part.set_memory("booted", 128 * MIB)
    with pytest.raises(LimitExceeded, match="has room for 134217728 bytes of memory"):
        part.set_memory("booted", 256 * MIB)


def test_memory_modules(part: LibvirtHotplug, place: Lab) -> None:  # noqa: F811
    """In slots that the definition has, in blocks of 128 MiB."""
    root = ET.fromstring(domain_xml("slots"))
    room = ET.SubElement(root, "maxMemory", slots="4", unit="MiB")
    room.text = "1024"
    cell = ET.SubElement(ET.SubElement(ET.SubElement(root, "cpu"), "numa"), "cell")
    cell.attrib.update(id="0", cpus="0", memory="128", unit="MiB")
    domain = place.connection.defineXML(ET.tostring(root, encoding="unicode"))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    part.set_memory("slots", 300 * MIB)
    for flags in (0, INACTIVE):
        (module,) = found(domain, "memory", flags)
        assert module.findtext("target/size") == str(256 * 1024)
    assert ET.fromstring(domain.XMLDesc(INACTIVE)).findtext("currentMemory") == str(300 * 1024)
    with pytest.raises(LimitExceeded):
        part.set_memory("slots", 1025 * MIB)
    domain.destroy()
    domain.undefine()


def test_media(part: LibvirtHotplug, stopped: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    name = stopped.name()
    first, second = (place.folder / f"{n} & ü.iso" for n in ("first", "second"))
    for image in (first, second):
        image.write_bytes(bytes(MIB))
    with pytest.raises(NotFound, match=r"nothing\.iso"):
        part.insert_media(name, f"{place.folder}/nothing.iso")
    assert part.insert_media(name, str(first)) == "sda"
    stopped.create()
    assert part.insert_media(name, str(second), "sda") == "sda"
    for flags in (0, INACTIVE):
        (source,) = found(stopped, "disk/source", flags)
        assert source.attrib["file"] == str(second)
    part.eject_media(name)
    part.eject_media(name, "sda")
    for flags in (0, INACTIVE):
        assert found(stopped, "disk/source[@file]", flags) == []
    with pytest.raises(NotFound, match="no CD drive 'sdb'"):
        part.eject_media(name, "sdb")


def test_no_drive(part: LibvirtHotplug, booted: Guest, place: Lab) -> None:  # noqa: F811
    image = place.folder / "x.iso"
    image.write_bytes(bytes(MIB))
    with pytest.raises(NotFound, match="'booted' has no CD drive"):
        part.insert_media("booted", str(image))
