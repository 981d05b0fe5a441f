"""Artifact Manifest v1.0: the records of which an export tells the next tool what it made.

The names, values and rules are a published contract between exporters and converters: nothing here
is renamed. What is absent in a file is None or empty here and is not written again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

VERSION = "1.0"
#: Of a disk that does not say when it is to be booted from.
NO_BOOT_ORDER = 999

Text = Annotated[str, Field(max_length=4096)]


class _Record(BaseModel):
    """Frozen; unknown fields are errors, and text is not taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Record):
    """Where the machine came from."""

    provider: Text = ""
    vm_id: Text = ""
    vm_name: Text = ""
    datacenter: Text = ""
    #: RFC 3339.
    export_timestamp: Annotated[datetime | None, Field(strict=False)] = None
    export_method: Text = ""


class Machine(_Record):
    """What the guest has and is."""

    cpu: Annotated[int, Field(ge=0)] = 0
    #: Gibibytes; whole numbers are written as such.
    mem_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    firmware: Literal["bios", "uefi", "unknown"] = "unknown"
    secureboot: bool = False
    os_hint: Literal["linux", "windows", "unknown"] = "unknown"
    os_version: Text = ""


class Disk(_Record):
    """One disk and the file that holds it."""

    id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$", max_length=255)]
    source_format: Literal["vmdk", "qcow2", "raw", "vhd", "vhdx", "vdi"]
    #: Of the disk, as the guest sees it.
    bytes: Annotated[int, Field(ge=0)]
    #: Relative to the manifest, or absolute.
    local_path: Annotated[str, Field(min_length=1, max_length=4096)]
    checksum: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    boot_order_hint: Annotated[int, Field(ge=0)] = NO_BOOT_ORDER
    label: Text = ""
    disk_type: Literal["boot", "data", "unknown"] = "unknown"

    @field_validator("local_path")
    @classmethod
    def _no_nul(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError("must not hold a NUL")
        return path


class Nic(_Record):
    """A network card."""

    id: Text
    mac: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5})?$")] = ""
    network: Text = ""


class Warning_(_Record):  # noqa: N801 - Warning is Python's own
    """Something that a person should look at."""

    stage: Text = ""
    message: Text
    timestamp: Annotated[datetime | None, Field(strict=False)] = None


class Metadata(_Record):
    """Who made the manifest."""

    hypersdk_version: Text = ""
    job_id: Text = ""
    created_at: Annotated[datetime | None, Field(strict=False)] = None
    tags: dict[str, str] = Field(default_factory=dict)


class Inspect(_Record):
    enabled: bool = True
    collect_guest_info: bool = False


class Fix(_Record):
    enabled: bool = True
    backup: bool = False
    print_fstab: bool = False
    update_grub: bool = False
    regen_initramfs: bool = False
    fstab_mode: Literal["stabilize-all", "bypath-only", "noop"] = "stabilize-all"
    remove_vmware_tools: bool = False


class Convert(_Record):
    enabled: bool = True
    compress: bool = False
    compress_level: Annotated[int, Field(ge=0, le=22)] = 6


class Validate(_Record):
    enabled: bool = True
    check_image_integrity: bool = False


class Pipeline(_Record):
    """What the converter is asked to do."""

    inspect: Inspect | None = None
    fix: Fix | None = None
    convert: Convert | None = None
    validate_: Validate | None = Field(default=None, alias="validate")


class Configuration(_Record):
    """What the converter changes inside the guest. Its parts are the converter's own and are
    handed on as they are."""

    users: Any = None
    services: Any = None
    hostname: Any = None
    network: Any = None


class Output(_Record):
    """Where the converter writes to."""

    directory: Text = ""
    format: Literal["qcow2", "raw", "vdi"] = "qcow2"
    filename: Text = ""


class Report(_Record):
    enabled: bool = False
    path: Text = ""


class Options(_Record):
    """How the converter runs."""

    dry_run: bool = False
    verbose: Annotated[int, Field(ge=0, le=3)] = 0
    report: Report | None = None


class ArtifactManifest(_Record):
    """A whole manifest."""

    manifest_version: Literal["1.0"]
    source: Source | None = None
    vm: Machine | None = None
    disks: Annotated[tuple[Disk, ...], Field(min_length=1, max_length=4096, strict=False)]
    nics: Annotated[tuple[Nic, ...], Field(max_length=4096, strict=False)] = ()
    notes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    warnings: Annotated[tuple[Warning_, ...], Field(strict=False)] = ()
    metadata: Metadata | None = None
    pipeline: Pipeline | None = None
    configuration: Configuration | None = None
    output: Output | None = None
    options: Options | None = None

    @field_validator("disks")
    @classmethod
    def _unique(cls, disks: tuple[Disk, ...]) -> tuple[Disk, ...]:
        ids = [disk.id for disk in disks]
        for number, disk in enumerate(disks):
            if disk.id in ids[:number]:
                raise ValueError(f"[{number}].id: '{disk.id}' is given twice")
        return disks
