"""``artifact-manifest.json``: an export told to the tools that come after it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hypersdk.artifacts.checksums import digest_of
from hypersdk.artifacts.manifest import (
    firmware_word,
    gibibytes,
    os_hint,
    validated,
)
from hypersdk.artifacts.manifest import write_manifest as write_document
from hypersdk.flows.exporting.layout import MANIFEST_FILE
from hypersdk.flows.exporting.options import ManifestOptions
from hypersdk.flows.exporting.package import Contents
from hypersdk.flows.exporting.results import ExportedFile
from hypersdk.model.details import InstanceDetails
from hypersdk.model.instances import Purpose
from hypersdk.ovf.machine import OvfMachine


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a manifest is made of."""

    contents: Contents
    files: Sequence[ExportedFile]
    details: InstanceDetails | None
    format: str
    #: URL of the hypervisor, without secrets.
    source: str
    #: Of the moment, seconds since the epoch.
    time: float
    warnings: Sequence[str]


def write_manifest(
    folder: Path, told: Told, wishes: ManifestOptions, algorithm: str
) -> ExportedFile:
    """Beside the files it speaks of. Raises InvalidInput for wishes that the contract does not
    know."""
    manifest = validated(document(folder, told, wishes), "the artifact manifest")
    path = folder / f"{MANIFEST_FILE}.{wishes.encoding}"
    write_document(path, manifest, overwrite=True)
    return ExportedFile(name=path.name, size=path.stat().st_size, digest=digest_of(path, algorithm))


def document(folder: Path, told: Told, wishes: ManifestOptions) -> dict[str, Any]:
    """As the contract names things."""
    machine = told.contents.description.machine("", told.contents.written(told.format), {})
    moment = datetime.fromtimestamp(int(told.time), UTC).isoformat()
    made: dict[str, Any] = {
        "manifest_version": "1.0",
        "source": _source(told, moment),
        "vm": _machine(told, machine),
        "disks": _disks(folder, told, machine),
        "nics": [
            {"id": f"nic{number}", "mac": nic.mac, "network": nic.network}
            for number, nic in enumerate(machine.nics)
        ],
        "notes": _notes(told),
        "warnings": [
            {"stage": "export", "message": text[:4096], "timestamp": moment}
            for text in told.warnings
        ],
        "metadata": {
            "hypersdk_version": version("hypersdk"),
            "created_at": datetime.now(UTC).replace(microsecond=0).isoformat(),
            "tags": dict(wishes.tags),
        },
        **dict(wishes.sections),
    }
    if wishes.target_format and "output" not in made:
        made["output"] = {"format": wishes.target_format}
    return made


def _source(told: Told, moment: str) -> dict[str, Any]:
    instance = told.contents.description.instance
    scheme = told.source.partition(":")[0].partition("+")[0]
    return {
        "provider": scheme,
        "vm_id": instance.id,
        "vm_name": instance.name,
        "datacenter": told.details.datacenter if told.details else "",
        "export_timestamp": moment,
        "export_method": "hyperexport",
    }


def _machine(told: Told, machine: OvfMachine) -> dict[str, Any]:
    guest = told.details.guest if told.details else None
    known = told.contents.description.definition is not None or told.details is not None
    return {
        "cpu": machine.vcpus,
        "mem_gb": gibibytes(told.contents.description.instance.memory),
        "firmware": firmware_word(machine.firmware) if known else "unknown",
        "secureboot": machine.secure_boot,
        "os_hint": os_hint(guest.os_id or guest.os) if guest else "unknown",
        "os_version": guest.os if guest else "",
    }


def _disks(folder: Path, told: Told, machine: OvfMachine) -> list[dict[str, Any]]:
    held: Mapping[str, ExportedFile] = {each.disk: each for each in told.files if each.disk}
    whole = told.files[0]
    devices = [each for each in told.contents.disks if each.purpose is Purpose.DISK]
    made = []
    for number, (disk, described) in enumerate(zip(devices, machine.disks, strict=True)):
        file = held.get(disk.name, whole)
        order = described.boot_order
        made.append(
            {
                "id": re.sub(r"[^a-zA-Z0-9_-]", "_", disk.name) or f"disk-{number}",
                "source_format": "vmdk" if told.format in {"ovf", "ova"} else told.format,
                "bytes": described.capacity,
                "local_path": file.name,
                "checksum": f"sha256:{_sha256(folder, told, file)}",
                "boot_order_hint": number if order is None else order,
                "label": disk.name,
                "disk_type": "boot" if number == 0 else "data",
            }
        )
    return made


def _sha256(folder: Path, told: Told, file: ExportedFile) -> str:
    finished = told.contents.finished.get(file.disk)
    if finished is not None and finished.file == file.name:
        return finished.digests["sha256"]
    return digest_of(folder / file.name)


def _notes(told: Told) -> list[str]:
    notes = []
    if told.format == "ova":
        notes.append("The disks are members of the archive that their paths name.")
    if any(file.name.endswith(".age") for file in told.files):
        notes.append("The files are sealed: open them with age before they are used.")
    elif any(file.disk and file.name.endswith((".gz", ".zst", ".lz4")) for file in told.files):
        notes.append("The disks are packed: unpack them before they are used.")
    return notes
