"""What a guest needs besides its disks: its definition, UEFI variables, files of a direct boot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt.errors import native
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import Definition, Disk, Purpose

#: ``content`` is JSON: ``inactive`` (the domain XML to define it by), ``live`` (migratable XML of
#: the running domain, or null), ``autostart``.
DEFINITION_KIND = "libvirt"

_FILES = {
    "os/nvram": Purpose.NVRAM,
    "os/kernel": Purpose.KERNEL,
    "os/initrd": Purpose.INITRD,
}


def definition(domain: libvirt.virDomain) -> Definition:
    """With the passwords in it (for VNC, say): restore points seal it."""
    secure = libvirt.VIR_DOMAIN_XML_SECURE
    with native(f"read the definition of '{domain.name()}'"):
        live = None
        if domain.isActive():
            live = domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_MIGRATABLE)
        content = {
            "inactive": domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_INACTIVE),
            "live": live,
            "autostart": bool(domain.isPersistent() and domain.autostart()),
        }
    return Definition(DEFINITION_KIND, json.dumps(content).encode())


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file that the domain cannot boot without."""

    path: Path
    purpose: Purpose

    def disk(self) -> Disk:
        size = self.path.stat().st_size
        return Disk(self.purpose.value, size, "raw", str(self.path), self.purpose)


def guest_files(xml: Element) -> Iterator[GuestFile]:
    """Those that are there: UEFI variables come into being with the first start.

    Raises HypervisorError for one that we may not read: a guest without it would not boot.
    """
    for place, purpose in _FILES.items():
        path = Path(xml.findtext(place) or "")
        try:
            if not path.name or not path.is_file():
                continue
            with open(path, "rb"):
                pass
        except OSError as error:
            raise HypervisorError(
                f"cannot read the {purpose.value} of the guest, {path}: {error.strerror}",
                hint="Run as a user who may, root for qemu:///system.",
            ) from error
        yield GuestFile(path, purpose)


def not_saved(xml: Element) -> list[str]:
    """What a person may count on, and what is not in a restore point."""
    missing = []
    backend = xml.find("devices/tpm/backend")
    if backend is not None and backend.get("type") == "emulator":
        missing.append(
            "the state of the emulated TPM is not saved: secrets sealed by it (BitLocker, LUKS "
            "with TPM) will need their recovery keys"
        )
    if xml.find("devices/tpm/backend[@type='passthrough']") is not None:
        missing.append("the TPM is the host's own and is not saved")
    if xml.find("devices/hostdev") is not None:
        missing.append("devices of the host that are passed through are not saved")
    if xml.find("devices/filesystem") is not None:
        missing.append("folders of the host that the guest shares are not saved")
    return missing
