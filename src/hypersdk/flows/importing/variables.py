"""UEFI variables of a package: whose they are, and who can take them over.

They hold the boot entries and the keys of secure boot, in the form of the firmware that wrote them:
QEMU's (EDK2, OVMF) and VMware's cannot read each other's. Without them firmware looks for boot
loaders at their usual places (``\\EFI\\BOOT``), which is enough for most guests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

#: Bytes at most; QEMU's have 128 to 528 KiB, VMware's up to 270 KiB.
MOST = 16 << 20
#: A firmware volume of EDK2 has its signature behind 16 zeroes, a GUID and its length
#: (UEFI PI 1.7, volume 3, 3.2.1).
_EDK2, _EDK2_PLACE = b"_FVH", 40
_VMWARE = b"MRVN"


@runtime_checkable
class TakesVariables(Protocol):
    """A ``provisioning`` part whose new instances can be given UEFI variables."""

    def take_variables(self, name: str, content: bytes) -> str:
        """For an instance that never ran. Why they cannot be taken over; empty: they are."""
        ...


def file_of(files: Iterable[str]) -> str:
    """Name of the file of a package that holds them; empty: none, or not known which."""
    found = [file for file in files if file.lower().endswith(".nvram")]
    return found[0] if len(found) == 1 else ""


def are_of_qemu(content: bytes) -> bool:
    """Written by EDK2, which QEMU's firmware is made of."""
    return content[_EDK2_PLACE : _EDK2_PLACE + len(_EDK2)] == _EDK2


def owner(content: bytes) -> str:
    """Whose they are, for people."""
    if are_of_qemu(content):
        return "QEMU's"
    return "VMware's" if content.startswith(_VMWARE) else "of an unknown kind"


def not_taken(why: str) -> str:
    """The warning."""
    return (
        f"the UEFI variables of the package are not taken over: {why}; the firmware looks for "
        "boot loaders anew, and keys of secure boot are its own"
    )
