"""The Artifact Manifest of an export, made of what its hypervisor told of the instance.

What the contract has no word for is not guessed: a firmware or system that is not known is
``unknown``, and so is the part that a disk plays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypersdk.artifacts.checksums import Checksum
from hypersdk.artifacts.manifest import firmware_word, gibibytes, now, os_hint, validated
from hypersdk.artifacts.manifestmodel import VERSION, ArtifactManifest
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedDisk:
    """A disk and the file it went to."""

    #: As its hypervisor calls it: ``scsi0-0``.
    name: str
    #: Of its file: ``vmdk``, ``qcow2``, ``raw``, ``vhd``, ``vhdx``, ``vdi``.
    format: str
    #: Bytes that the guest sees.
    size: int
    #: Relative to the manifest.
    path: str
    #: Only SHA-256 has a place in the contract; others are left out.
    checksum: Checksum | None = None
    #: Place in the boot order, from 0; None: not known.
    boot_order: int | None = None


def describe(
    details: InstanceDetails,
    disks: Sequence[ExportedDisk],
    *,
    provider: str,
    method: str = "",
    version: str = "",
    job_id: str = "",
    tags: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    sections: Mapping[str, Any] | None = None,
) -> ArtifactManifest:
    """``sections`` are ``pipeline``, ``configuration``, ``output`` and ``options`` in the
    contract's own words. Raises InvalidInput naming the field."""
    made = now().isoformat()
    document: dict[str, Any] = {
        "manifest_version": VERSION,
        "source": _without_empty(
            provider=provider,
            vm_id=details.instance.id,
            vm_name=details.instance.name,
            datacenter=details.datacenter,
            export_timestamp=made,
            export_method=method,
        ),
        "vm": _machine(details),
        "disks": [_disk(disk, number) for number, disk in enumerate(disks)],
        "nics": [
            _without_empty(id=nic.name, mac=nic.mac, network=nic.network) for nic in details.nics
        ],
        "notes": list(notes),
        "warnings": [
            {"stage": "export", "message": message, "timestamp": made} for message in warnings
        ],
        "metadata": _without_empty(
            hypersdk_version=version, job_id=job_id, created_at=made, tags=dict(tags or {})
        ),
    }
    for name, section in (sections or {}).items():
        if name in document:
            raise InvalidInput(
                f"the section '{name}' of a manifest is written from the export itself",
                hint="Sections that can be given: pipeline, configuration, output, options.",
            )
        document[name] = section
    return validated({name: part for name, part in document.items() if part})


def disk_id(name: str, number: int) -> str:
    """A disk's name as an id of the contract, which allows letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", name).strip("-") or f"disk-{number}"


def _machine(details: InstanceDetails) -> dict[str, Any]:
    guest = details.guest
    return _without_empty(
        cpu=details.instance.vcpus,
        mem_gb=gibibytes(details.instance.memory),
        firmware=firmware_word(details.firmware),
        secureboot=bool(details.secure_boot),
        os_hint=os_hint(f"{guest.os_id} {guest.os}"),
        os_version=guest.os,
    )


def _disk(disk: ExportedDisk, number: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": disk_id(disk.name, number),
        "source_format": disk.format,
        "bytes": disk.size,
        "local_path": disk.path,
        "label": disk.name,
    }
    if disk.checksum is not None and disk.checksum.algorithm == "sha256":
        document["checksum"] = f"sha256:{disk.checksum.digest}"
    if disk.boot_order is not None:
        document["boot_order_hint"] = disk.boot_order
        document["disk_type"] = "boot" if disk.boot_order == 0 else "data"
    return document


def _without_empty(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", {}, None)}
