"""What other hypervisors' own definitions say of the hardware that a descriptor speaks of.

A definition is read as far as it is understood; one of another kind, or one that makes no sense,
says nothing, and the descriptor gets what every product takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hypersdk.ovf.machine import OvfNic

_BUSES = {"virtio": "virtio", "scsi": "scsi", "sata": "sata", "ide": "ide", "nvme": "nvme"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a definition says."""

    firmware: str = "bios"
    secure_boot: bool = False
    #: Name of a disk → its bus.
    buses: Mapping[str, str] = field(default_factory=dict)
    nics: tuple[OvfNic, ...] = ()
    #: Name of a disk → its place in the boot order.
    boot_order: Mapping[str, int] = field(default_factory=dict)
    description: str = ""


def read_definition(kind: str, content: bytes) -> Hardware | None:
    """None for a kind that is not known, and for what cannot be read."""
    reader = _READERS.get(kind)
    if reader is None:
        return None
    try:
        return reader(content)
    except (ValueError, KeyError, TypeError, AttributeError, ParseError, DefusedXmlException):
        return None


def _json(content: bytes) -> Hardware:
    """The mock hypervisor's, and that of QEMU without libvirt."""
    raw = json.loads(content)
    settings = raw.get("settings") or {}
    return Hardware(
        firmware="uefi" if settings.get("firmware") == "uefi" else "bios",
        buses={disk["name"]: _BUSES.get(disk.get("bus", ""), "scsi") for disk in raw["disks"]},
        nics=tuple(map(_plain_nic, raw.get("nics", ()))),
    )


def _plain_nic(nic: Mapping[str, Any]) -> OvfNic:
    network = nic.get("network") or nic.get("bridge") or "user"
    return OvfNic(network=network, model=nic.get("model", ""), mac=nic.get("mac", ""))


def _libvirt(content: bytes) -> Hardware:
    raw = json.loads(content)
    domain: Element = fromstring(raw["inactive"], forbid_dtd=True)
    loader = domain.find("os/loader")
    uefi = (loader is not None and loader.get("type") == "pflash") or (
        (found := domain.find("os")) is not None and found.get("firmware") == "efi"
    )
    buses, order = {}, {}
    for disk in domain.findall("devices/disk"):
        target = disk.find("target")
        if disk.get("device", "disk") != "disk" or target is None:
            continue
        name = target.get("dev", "")
        buses[name] = _BUSES.get(target.get("bus", ""), "scsi")
        boot = disk.find("boot")
        if boot is not None:
            order[name] = int(boot.get("order", "1")) - 1
    return Hardware(
        firmware="uefi" if uefi else "bios",
        secure_boot=loader is not None and loader.get("secure") == "yes",
        buses=buses,
        nics=tuple(map(_libvirt_nic, domain.findall("devices/interface"))),
        boot_order=order,
        description=domain.findtext("description", "").strip(),
    )


def _libvirt_nic(nic: Element) -> OvfNic:
    source, mac, model = nic.find("source"), nic.find("mac"), nic.find("model")
    network = "user"
    if source is not None:
        network = source.get("network") or source.get("bridge") or source.get("dev") or "user"
    return OvfNic(
        network=network,
        model=model.get("type", "") if model is not None else "",
        mac=mac.get("address", "") if mac is not None else "",
    )


_READERS: Mapping[str, Callable[[bytes], Hardware]] = {
    "mock-json": _json,
    "qmp": _json,
    "qmp-json": _json,
    "libvirt": _libvirt,
}
