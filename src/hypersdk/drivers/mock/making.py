"""From what an instance shall be to what the mock hypervisor keeps of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from hypersdk.drivers.mock.definition import MockDefinition, MockDisk, MockNic
from hypersdk.drivers.specs import checked, refuse
from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec

#: Of the CD drive that an instance is made with.
DRIVE = "sda"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_BUSES = ("virtio", "scsi", "sata")


def planned(spec: InstanceSpec, kept: Path) -> tuple[MockDefinition, dict[MockDisk, Path]]:
    """The definition, and which of its disks begin with the content of which file.

    ``kept``: folder of the disks that lost their instance. Raises InvalidInput, NotFound,
    AlreadyExists.
    """
    checked(spec)
    refuse(spec, ("mounts", "ports"), "and no process stands behind a mock instance")
    refuse(spec, ("acceleration",), "and a mock instance is not executed at all")
    if spec.firmware not in {"bios", "uefi"}:
        raise InvalidInput(
            f"'{spec.name}' asks for the firmware '{spec.firmware}'", hint="bios or uefi."
        )
    disks = planned_disks(spec.disks, (), kept, spec.name)
    nics: list[MockNic] = []
    for nic in spec.nics:
        nics.append(planned_nic(nic, nics, spec.name))
    for file in filter(None, (spec.cdrom, spec.kernel, spec.initrd)):
        check_image(file)
    definition = MockDefinition(
        id=str(uuid4()),
        name=spec.name,
        vcpus=spec.vcpus,
        memory=spec.memory,
        tags=dict(spec.tags),
        disks=tuple(disks),
        nics=tuple(nics),
        vcpus_maximum=spec.vcpus_maximum,
        memory_maximum=spec.memory_maximum,
        cpu_weight=spec.cpu_weight,
        cpu_limit=spec.cpu_limit,
        pids_limit=spec.pids_limit,
        owned=True,
        folder=spec.folder,
        image=spec.image,
        drives={DRIVE: spec.cdrom} if spec.cdrom else {},
        env=dict(spec.env),
        settings=_settings(spec),
    )
    return definition, {disk: path for disk, path in disks.items() if path is not None}


def _settings(spec: InstanceSpec) -> dict[str, object]:
    """What was said of things that nothing here looks at."""
    said = {
        "firmware": spec.firmware,
        "kernel": spec.kernel,
        "initrd": spec.initrd,
        "kernel_arguments": spec.kernel_arguments,
        "command": list(spec.command),
        "cloud_init": asdict(spec.cloud_init) if spec.cloud_init else None,
    }
    return {name: value for name, value in said.items() if value}


def planned_disks(
    specs: Sequence[DiskSpec], taken: Iterable[str], kept: Path, instance: str
) -> dict[MockDisk, Path | None]:
    """Disks to be made, with the file they begin with. Those without a name get free ones."""
    names = {*taken}
    asked = {spec.name for spec in specs}
    free = (f"vd{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    disks: dict[MockDisk, Path | None] = {}
    for spec in specs:
        name = spec.name or next((n for n in free if n not in {*names, *asked}), "")
        if not name or "/" in name:
            raise InvalidInput(
                f"'{instance}' cannot have a disk '{spec.name}'", hint="Name it as in vda."
            )
        if name in names:
            if name in taken:
                raise AlreadyExists(
                    f"'{instance}' has a disk '{name}' already", hint="Choose another name."
                )
            raise InvalidInput(
                f"'{instance}' asks for two disks '{name}'", hint="Give each a name of its own."
            )
        names.add(name)
        disk, content = _planned_disk(spec, name, kept, instance)
        disks[disk] = content
    return disks


def _planned_disk(
    spec: DiskSpec, name: str, kept: Path, instance: str
) -> tuple[MockDisk, Path | None]:
    if spec.pool or spec.base:
        raise InvalidInput(
            f"disk '{name}' of '{instance}' asks for a pool or base image",
            hint="The mock hypervisor keeps disks with their instance: give a size alone.",
        )
    if spec.format not in {"raw", "qcow2"} or spec.bus not in _BUSES:
        raise InvalidInput(
            f"disk '{name}' of '{instance}' cannot be {spec.format} on {spec.bus}",
            hint=f"Formats: raw, qcow2 (both are kept raw). Buses: {', '.join(_BUSES)}.",
        )
    if spec.size < 0:
        raise InvalidInput(
            f"disk '{name}' of '{instance}' cannot have {spec.size} bytes", hint="0 is the least."
        )
    if not spec.path:
        return MockDisk(name, uuid4().hex, spec.size, spec.bus), None
    path = Path(spec.path)
    if path.parent != kept:
        raise InvalidInput(
            f"disk '{name}' of '{instance}' asks for the path {path}",
            hint=f"Only disks in {kept} can be used again; give a size for a new one.",
        )
    if not path.exists():
        raise NotFound(f"there is no disk {path}", hint=f"See what {kept} holds.")
    size = path.stat().st_size
    if spec.size not in {0, size}:
        raise InvalidInput(f"{path} has {size} bytes, not {spec.size}", hint="Leave out the size.")
    # A new identity: its record of changes was lost with its instance.
    return MockDisk(name, uuid4().hex, size, spec.bus), path


def planned_nic(nic: NicSpec, others: Collection[MockNic], instance: str) -> MockNic:
    """With a MAC address. Raises InvalidInput, AlreadyExists."""
    mac = (nic.mac or new_mac()).lower()
    if not _MAC.fullmatch(mac):
        raise InvalidInput(f"'{nic.mac}' is no MAC address", hint="As in 52:54:00:12:34:56.")
    if any(mac == other.mac for other in others):
        raise AlreadyExists(
            f"'{instance}' has a NIC {mac} already", hint="Leave out the address: one is made."
        )
    return MockNic(mac, nic.network, nic.bridge, nic.model)


def new_mac() -> str:
    """From the range of addresses that nobody owns."""
    return ":".join(["02:6d:6b", *(f"{byte:02x}" for byte in secrets.token_bytes(3))])


def check_image(image: str) -> None:
    """Raises InvalidInput, NotFound."""
    if not image.startswith("/"):
        raise InvalidInput(
            f"the path of an image must be absolute, not '{image}'", hint="Begin it with /."
        )
    if not Path(image).is_file():
        raise NotFound(f"there is no image {image}", hint="Name a file that exists.")
