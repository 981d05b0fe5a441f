"""Write OVF 1.x descriptors (DSP0243 1.1.0, which every product reads).

Hardware is described in VMware's words, since that is what importers know: lsilogic or AHCI
controllers, VmxNet3 or E1000 cards.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from hypersdk.model.units import MIB
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.reading import DISK, IDE, MEMORY, NIC, OTHER_STORAGE, PROCESSOR, SCSI

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
RASD = f"{CIM}/CIM_ResourceAllocationSettingData"
VSSD = f"{CIM}/CIM_VirtualSystemSettingData"
VMW = "http://www.vmware.com/schema/ovf"

#: Hardware version that vSphere 6.0 and later import.
_HARDWARE = "vmx-11"
#: What the names of files with UEFI variables end with.
NVRAM = ".nvram"
_CONTROLLERS = {
    "scsi": (SCSI, "lsilogic"),
    "virtio": (SCSI, "VirtualSCSI"),
    "sata": (OTHER_STORAGE, "vmware.sata.ahci"),
    "nvme": (OTHER_STORAGE, "vmware.nvme.controller"),
    "ide": (IDE, "PIIX4"),
}
_NICS = {"": "VmxNet3", "virtio": "VmxNet3", "e1000": "E1000", "e1000e": "E1000e"}

for _prefix, _uri in (("ovf", OVF), ("rasd", RASD), ("vssd", VSSD), ("vmw", VMW)):
    register_namespace(_prefix, _uri)


def write_ovf(machine: OvfMachine) -> bytes:
    """The descriptor, UTF-8. Sizes of files are written where they are known."""
    envelope = Element(_ovf("Envelope"))
    _references(envelope, machine)
    _disk_section(envelope, machine)
    _network_section(envelope, machine)
    _system(envelope, machine)
    indent(envelope)
    content: bytes = tostring(envelope, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _references(envelope: Element, machine: OvfMachine) -> None:
    references = _add(envelope, "References")
    for disk in machine.disks:
        if not disk.file:
            continue
        attributes = {"id": _file_id(disk), "href": disk.file}
        if disk.file_size:
            attributes["size"] = str(disk.file_size)
        if disk.compression != "identity":
            attributes["compression"] = disk.compression
        _add(references, "File", **attributes)
    for number, name in enumerate(machine.files, 1):
        _add(references, "File", id=other_id(number), href=name)


def _disk_section(envelope: Element, machine: OvfMachine) -> None:
    section = _section(envelope, "DiskSection", "Virtual disks")
    for disk in machine.disks:
        attributes = {
            "diskId": disk.id,
            "capacity": str(disk.capacity),
            "capacityAllocationUnits": "byte",
            "format": disk.format,
        }
        if disk.file:
            attributes["fileRef"] = _file_id(disk)
        if disk.populated:
            attributes["populatedSize"] = str(disk.populated)
        _add(section, "Disk", **attributes)


def _network_section(envelope: Element, machine: OvfMachine) -> None:
    names = dict.fromkeys(nic.network for nic in machine.nics)
    if not names:
        return
    section = _section(envelope, "NetworkSection", "Networks")
    for name in names:
        network = _add(section, "Network", name=name)
        _add(network, "Description").text = f"The {name} network"


def _system(envelope: Element, machine: OvfMachine) -> None:
    system = _add(envelope, "VirtualSystem", id=machine.name)
    _add(system, "Info").text = "A virtual machine"
    _add(system, "Name").text = machine.name
    if machine.description:
        annotation = _section(system, "AnnotationSection", "A note about the machine")
        _add(annotation, "Annotation").text = machine.description
    operating = _section(system, "OperatingSystemSection", "The operating system")
    operating.set(_ovf("id"), str(machine.os_id))
    if machine.os_type:
        operating.set(f"{{{VMW}}}osType", machine.os_type)
    hardware = _section(system, "VirtualHardwareSection", "Virtual hardware")
    described = _add(hardware, "System")
    for name, value in (
        ("ElementName", "Virtual Hardware Family"),
        ("InstanceID", "0"),
        ("VirtualSystemIdentifier", machine.name),
        ("VirtualSystemType", machine.hardware or _HARDWARE),
    ):
        SubElement(described, f"{{{VSSD}}}{name}").text = value
    for fields in _Items(machine).all():
        _item(hardware, fields)
    if machine.firmware == "uefi":
        _config(hardware, "firmware", "efi")
    if machine.secure_boot:
        _config(hardware, "bootOptions.efiSecureBootEnabled", "true")
    for number, name in enumerate(machine.files, 1):
        if name.endswith(NVRAM):
            hardware.append(nvram_setting(number))


class _Items:
    """The hardware, numbered through: for each item, names of rasd elements → texts."""

    def __init__(self, machine: OvfMachine) -> None:
        self._machine = machine
        self._numbers = count(1)

    def all(self) -> Iterator[dict[str, str]]:
        machine = self._machine
        cpus = {"AllocationUnits": "hertz * 10^6", "VirtualQuantity": str(machine.vcpus)}
        yield self._numbered(PROCESSOR, f"{machine.vcpus} virtual CPU(s)", cpus)
        size = -(-machine.memory // MIB)
        memory = {"AllocationUnits": "byte * 2^20", "VirtualQuantity": str(size)}
        yield self._numbered(MEMORY, f"{size}MB of memory", memory)
        yield from self._storage()
        for nic in machine.nics:
            yield self._nic(nic)

    def _storage(self) -> Iterator[dict[str, str]]:
        controllers: dict[tuple[str, int], str] = {}
        for disk in self._machine.disks:
            place = (disk.bus, disk.controller_number)
            if place not in controllers:
                controller = self._controller(disk)
                controllers[place] = controller["InstanceID"]
                yield controller
            yield self._disk(disk, controllers[place])

    def _controller(self, disk: OvfDisk) -> dict[str, str]:
        kind, subtype = _CONTROLLERS[disk.bus]
        fields = {
            "Address": str(disk.controller_number),
            "ResourceSubType": disk.controller or subtype,
        }
        return self._numbered(kind, f"{disk.bus} controller {disk.controller_number}", fields)

    def _disk(self, disk: OvfDisk, parent: str) -> dict[str, str]:
        fields = {
            "AddressOnParent": str(disk.unit),
            "HostResource": f"ovf:/disk/{disk.id}",
            "Parent": parent,
        }
        if disk.boot_order is not None:
            fields["BootOrder"] = str(disk.boot_order)
        return self._numbered(DISK, f"Hard disk {disk.id}", fields)

    def _nic(self, nic: OvfNic) -> dict[str, str]:
        fields = {
            "AutomaticAllocation": "true",
            "Connection": nic.network,
            "ResourceSubType": _NICS.get(nic.model.lower(), nic.model),
        }
        if nic.mac:
            fields["Address"] = nic.mac
        return self._numbered(NIC, f"Network adapter on {nic.network}", fields)

    def _numbered(self, kind: int, name: str, fields: dict[str, str]) -> dict[str, str]:
        number = str(next(self._numbers))
        return {"ElementName": name, "InstanceID": number, "ResourceType": str(kind), **fields}


def _item(section: Element, fields: dict[str, str]) -> None:
    """rasd elements have to come in the order of their names."""
    item = _add(section, "Item")
    for name in sorted(fields):
        SubElement(item, f"{{{RASD}}}{name}").text = fields[name]


def _file_id(disk: OvfDisk) -> str:
    return f"file-{disk.id}"


def _ovf(name: str) -> str:
    return f"{{{OVF}}}{name}"


def _add(parent: Element, tag: str, /, **attributes: str) -> Element:
    return SubElement(parent, _ovf(tag), {_ovf(key): text for key, text in attributes.items()})


def _section(parent: Element, name: str, about: str) -> Element:
    section = _add(parent, name)
    _add(section, "Info").text = about
    return section


def other_id(number: int) -> str:
    """Id of a file that is no disk, numbered from 1."""
    return f"other{number}"


def nvram_setting(number: int) -> Element:
    """VMware's way to say which of the other files holds the UEFI variables."""
    attributes = {"key": "nvram", "value": f"ovf:/file/{other_id(number)}"}
    return Element(
        f"{{{VMW}}}ExtraConfig",
        {_ovf("required"): "false", **{f"{{{VMW}}}{k}": v for k, v in attributes.items()}},
    )


def _config(hardware: Element, key: str, value: str) -> None:
    attributes = {_ovf("required"): "false", f"{{{VMW}}}key": key, f"{{{VMW}}}value": value}
    SubElement(hardware, f"{{{VMW}}}Config", attributes)
