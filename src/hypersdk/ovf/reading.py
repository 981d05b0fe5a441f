"""Read OVF descriptors: DSP0243 1.x and 2.0, as VMware, VirtualBox, oVirt and we write them.

Hardware is listed as CIM settings (rasd): a number says what an item is (DSP8049, ResourceType),
``Parent`` hangs a disk to its controller, ``HostResource`` names what is behind it. Elements are
found by their local names: producers disagree about namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from hypersdk.model.errors import InvalidInput
from hypersdk.ovf import parsing
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.parsing import LARGEST, amount, number, parse_xml

#: Bytes of a descriptor.
MOST = parsing.MOST
#: Of disks, NICs and files each: a descriptor with more is an attack.
_MOST_ITEMS = 4096

PROCESSOR, MEMORY, IDE, SCSI, NIC, CD, DISK, OTHER_STORAGE, NVME = 3, 4, 5, 6, 10, 15, 17, 20, 35
_CONTROLLERS = {IDE: "ide", SCSI: "scsi", OTHER_STORAGE: "sata"}


def read_ovf(content: bytes) -> OvfMachine:
    """The virtual system of a descriptor.

    Raises InvalidInput for XML that is none or hostile, for several virtual systems, and for
    references that lead nowhere.
    """
    envelope = parse_xml(content)
    if _local(envelope) != "Envelope":
        raise InvalidInput(f"this is no OVF descriptor but a document <{_local(envelope)[:80]}>")
    return _Reader(envelope).machine()


class _Reader:
    """One envelope."""

    def __init__(self, envelope: Element) -> None:
        self._envelope = envelope
        self._files = {
            _attribute(file, "id"): file for file in _below(envelope, "References", "File")
        }
        systems = [each for each in envelope.iter() if _local(each) == "VirtualSystem"]
        if len(systems) != 1:
            raise InvalidInput(
                f"the OVF descriptor has {len(systems)} virtual systems",
                hint="Only packages of one machine are read.",
            )
        self._system = systems[0]
        self._items = [_fields(each) for each in _hardware(self._system)]
        if len(self._items) > _MOST_ITEMS or len(self._files) > _MOST_ITEMS:
            raise InvalidInput("the OVF descriptor has thousands of items")

    def machine(self) -> OvfMachine:
        system = self._system
        os_section = next(_children(system, "OperatingSystemSection"), None)
        disks = tuple(self._disks())
        firmware, secure = _firmware(system)
        of_disks = {disk.file for disk in disks}
        return OvfMachine(
            name=_name(system),
            vcpus=self._amount(PROCESSOR, default=1),
            memory=self._memory(),
            disks=disks,
            nics=tuple(self._nics()),
            firmware=firmware,
            secure_boot=secure,
            os_id=number(_attribute(os_section, "id"), 1) if os_section is not None else 1,
            os_type=_attribute(os_section, "osType") if os_section is not None else "",
            hardware=_hardware_version(system),
            description=_text(next(_children(system, "AnnotationSection"), None), "Annotation"),
            files=tuple(
                href
                for file in self._files.values()
                if (href := _href(file)) and href not in of_disks
            ),
        )

    def _of(self, kind: int) -> list[Mapping[str, str]]:
        return [item for item in self._items if number(item.get("ResourceType", ""), -1) == kind]

    def _amount(self, kind: int, *, default: int) -> int:
        found = sum(number(item.get("VirtualQuantity", ""), 0) for item in self._of(kind))
        if found > _MOST_ITEMS:
            raise InvalidInput(f"the OVF descriptor claims {found} processors")
        return found or default

    def _memory(self) -> int:
        total = 0
        for item in self._of(MEMORY):
            unit = item.get("AllocationUnits", "byte * 2^20")
            total += amount(item.get("VirtualQuantity", "") or "0", unit, "the memory")
        if total > LARGEST:
            raise InvalidInput(f"the OVF descriptor claims {total} bytes of memory")
        return total

    def _disks(self) -> Iterator[OvfDisk]:
        disks = _below(self._envelope, "DiskSection", "Disk")
        described = {_attribute(disk, "diskId"): disk for disk in disks}
        for item in self._of(DISK):
            resource = item.get("HostResource", "")
            identity = resource.rpartition("/")[2]
            disk = described.get(identity)
            if disk is None:
                raise InvalidInput(
                    f"the OVF descriptor has a disk '{resource[:80]}' that its DiskSection lacks"
                )
            yield self._disk(identity, disk, item)

    def _disk(self, identity: str, disk: Element, item: Mapping[str, str]) -> OvfDisk:
        reference = _attribute(disk, "fileRef")
        file = self._files.get(reference)
        if reference and file is None:
            raise InvalidInput(
                f"disk '{identity[:80]}' refers to an unlisted file '{reference[:80]}'"
            )
        bus, controller, controller_number = self._controller(item.get("Parent", ""))
        return OvfDisk(
            id=identity,
            file=_href(file) if file is not None else "",
            capacity=self._capacity(identity, disk),
            format=_attribute(disk, "format"),
            file_size=number(_attribute(file, "size"), 0) if file is not None else 0,
            populated=number(_attribute(disk, "populatedSize"), 0),
            compression=(_attribute(file, "compression") or "identity")
            if file is not None
            else "identity",
            bus=bus,
            controller=controller,
            controller_number=controller_number,
            unit=number(item.get("AddressOnParent", ""), 0),
            boot_order=_boot_order(item),
        )

    def _capacity(self, identity: str, disk: Element) -> int:
        unit = _attribute(disk, "capacityAllocationUnits") or "byte"
        return amount(_attribute(disk, "capacity"), unit, f"disk '{identity[:80]}'")

    def _controller(self, parent: str) -> tuple[str, str, int]:
        """Bus, kind, and number of the controller with this instance id."""
        for item in self._items:
            if item.get("InstanceID") != parent:
                continue
            kind = number(item.get("ResourceType", ""), -1)
            subtype = item.get("ResourceSubType", "")
            bus = _CONTROLLERS.get(kind, "scsi")
            if kind == OTHER_STORAGE and "nvme" in subtype.lower():
                bus = "nvme"
            return bus, subtype, number(item.get("Address", ""), 0)
        return "scsi", "", 0

    def _nics(self) -> Iterator[OvfNic]:
        for item in self._of(NIC):
            yield OvfNic(
                network=item.get("Connection", ""),
                model=item.get("ResourceSubType", ""),
                mac=item.get("Address", ""),
            )


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child) == name)


def _below(element: Element, section: str, name: str) -> Iterator[Element]:
    for found in _children(element, section):
        yield from _children(found, name)


def _attribute(element: Element | None, name: str) -> str:
    """With any namespace, or none."""
    if element is None:
        return ""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return ""


def _text(element: Element | None, name: str) -> str:
    found = None if element is None else next(_children(element, name), None)
    return (found.text or "").strip() if found is not None else ""


def _name(system: Element) -> str:
    return _text(system, "Name") or _attribute(system, "id") or "machine"


def _hardware(system: Element) -> Iterator[Element]:
    """Items of the hardware; 2.0 has elements of their own for disks and NICs."""
    for section in _children(system, "VirtualHardwareSection"):
        for child in section:
            if _local(child) in {"Item", "StorageItem", "EthernetPortItem"}:
                yield child


def _fields(item: Element) -> dict[str, str]:
    """The first of each: an item may have several ``HostResource``, of which one counts."""
    found: dict[str, str] = {}
    for child in item:
        found.setdefault(_local(child), (child.text or "").strip())
    return found


def _href(file: Element) -> str:
    """A name beside the descriptor. Raises InvalidInput for anything that leads elsewhere."""
    href = _attribute(file, "href")
    if href in {"", ".", ".."} or any(letter in "/\\" or letter < " " for letter in href):
        raise InvalidInput(
            f"the OVF descriptor refers to '{href[:80]}', which is no file beside it",
            hint="A package that names other places is not opened.",
        )
    return href


def _boot_order(item: Mapping[str, str]) -> int | None:
    order = item.get("BootOrder", "")
    return number(order, 0) if order else None


def _firmware(system: Element) -> tuple[str, bool]:
    """Firmware and secure boot, of VMware's and VirtualBox's own settings."""
    firmware, secure = "bios", False
    for element in system.iter():
        name = _local(element)
        if name == "Config":
            key, value = _attribute(element, "key"), _attribute(element, "value").lower()
            if key == "firmware" and value in {"efi", "uefi"}:
                firmware = "uefi"
            if key.endswith("efiSecureBootEnabled"):
                secure = value == "true"
        elif name == "Firmware" and _attribute(element, "type").upper().startswith("EFI"):
            firmware = "uefi"
    return firmware, secure


def _hardware_version(system: Element) -> str:
    for element in system.iter():
        if _local(element) == "VirtualSystemType":
            return (element.text or "").strip()
    return ""
