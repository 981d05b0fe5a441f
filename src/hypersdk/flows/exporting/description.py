"""What the descriptor of an export says: the hypervisor's own words where it speaks OVF, else what
is known of the instance, in the words that every product understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypersdk.drivers.diskports import BackupView
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Definition, Disk, Instance, Purpose
from hypersdk.ovf.adjusting import adjusted, matching
from hypersdk.ovf.definitions import Hardware, read_definition
from hypersdk.ovf.formats import URIS
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.writing import write_ovf

#: Words of vSphere for operating systems → CIM's numbers (CIM_OperatingSystem.OsType).
_OS_IDS = (
    ("ubuntu64", 94),
    ("ubuntu", 93),
    ("rhel", 80),
    ("centos", 107),
    ("rocky", 80),
    ("almalinux", 80),
    ("oraclelinux", 109),
    ("sles", 85),
    ("debian", 96),
    ("freebsd", 78),
    ("windows", 103),
    ("linux", 101),
)
#: Places on a controller: SCSI keeps 7 for itself.
_UNITS = {"scsi": [*range(7), *range(8, 16)], "virtio": [*range(7), *range(8, 16)],
          "ide": [0, 1], "sata": list(range(30)), "nvme": list(range(15))}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDisk:
    """A disk and the file that holds it. Bytes."""

    disk: Disk
    file: str
    #: As in `ovf.formats.URIS`.
    format: str
    file_size: int = 0
    capacity: int = 0
    #: Data in it.
    populated: int = 0
    compression: str = "identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that is known of an instance that a descriptor can say."""

    instance: Instance
    details: InstanceDetails | None = None
    definition: Definition | None = None

    @classmethod
    def of(cls, view: BackupView, details: InstanceDetails | None) -> Description:
        return cls(instance=view.instance, details=details, definition=view.definition)

    def descriptor(
        self, name: str, disks: Sequence[WrittenDisk], files: Mapping[str, int]
    ) -> bytes:
        """The text of the ``.ovf``. ``files``: others that belong to it, with their sizes."""
        machine = self.machine(name, disks, files)
        own = self._own(machine, disks, files)
        return own if own is not None else write_ovf(machine)

    def machine(
        self, name: str, disks: Sequence[WrittenDisk], files: Mapping[str, int]
    ) -> OvfMachine:
        """In our own words."""
        hardware = self._hardware()
        details = self.details
        guest = details.guest if details else None
        return OvfMachine(
            name=name,
            vcpus=max(self.instance.vcpus, 1),
            memory=max(self.instance.memory, 1 << 20),
            disks=tuple(self._placed(disks, hardware)),
            nics=hardware.nics,
            firmware=hardware.firmware,
            secure_boot=hardware.secure_boot,
            os_id=os_id(guest.os_id) if guest else 1,
            os_type=guest.os_id if guest else "",
            hardware=details.hardware if details and details.hardware.startswith("vmx-") else "",
            description=hardware.description,
            files=tuple(files),
        )

    def _hardware(self) -> Hardware:
        found = None
        if self.definition is not None:
            found = read_definition(self.definition.kind, self.definition.content)
        details = self.details
        if details is None:
            return found or Hardware()
        nics = tuple(
            OvfNic(network=nic.network or "VM Network", model=nic.model, mac=nic.mac)
            for nic in details.nics
        )
        return replace(
            found or Hardware(),
            firmware=details.firmware or (found.firmware if found else "bios"),
            secure_boot=bool(details.secure_boot),
            nics=nics or (found.nics if found else ()),
        )

    def _placed(self, disks: Sequence[WrittenDisk], hardware: Hardware) -> list[OvfDisk]:
        """Each on a controller of its bus, in the order of the instance."""
        used: dict[str, int] = {}
        placed = []
        for number, written in enumerate(disks):
            bus = self._bus(written.disk.name, hardware)
            units = _UNITS[bus]
            count = used.get(bus, 0)
            used[bus] = count + 1
            placed.append(
                OvfDisk(
                    id=f"vmdisk{number + 1}",
                    file=written.file,
                    capacity=written.capacity or written.disk.size,
                    format=URIS[written.format],
                    file_size=written.file_size,
                    populated=written.populated,
                    compression=written.compression,
                    bus=bus,
                    controller_number=count // len(units),
                    unit=units[count % len(units)],
                    boot_order=hardware.boot_order.get(written.disk.name),
                )
            )
        return placed

    def _bus(self, name: str, hardware: Hardware) -> str:
        if name in hardware.buses:
            return hardware.buses[name]
        letters = "".join(letter for letter in name.partition("-")[0] if letter.isalpha())
        return letters if letters in _UNITS else "scsi"

    def _own(
        self, machine: OvfMachine, disks: Sequence[WrittenDisk], files: Mapping[str, int]
    ) -> bytes | None:
        """The hypervisor's own descriptor, adjusted; None where it has none that fits."""
        definition = self.definition
        if definition is None or definition.kind != "ovf":
            return None
        everything = [
            (disk.name, disk.size) for disk in self.instance.disks if disk.purpose is Purpose.DISK
        ]
        try:
            places = matching(definition.content, everything)
        except InvalidInput:  # one that we cannot read is one that importers may not read
            return None
        written = {each.disk.name: ovf for each, ovf in zip(disks, machine.disks, strict=True)}
        chosen = {number: written[name] for number, name in places.items() if name in written}
        if len(chosen) != len(disks):
            return None
        return adjusted(definition.content, chosen, files)


def os_id(os_type: str) -> int:
    """CIM's number of an operating system by vSphere's word for it; 1: other."""
    lowered = os_type.lower()
    return next((number for word, number in _OS_IDS if lowered.startswith(word)), 1)
