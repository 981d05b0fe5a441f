"""The definition of a virtual machine as vSphere itself writes it: an OVF descriptor.

Its files are named after our disks (``scsi0-0.vmdk``), so that who builds from it finds which disk
belongs where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import Definition

KIND = "ovf"
NVRAM_FILE = "machine.nvram"


def file_name(disk: str) -> str:
    """Of a disk in the descriptor."""
    return f"{disk}.vmdk"


def describe(
    connection: Connection,
    vm: Any,
    name: str,
    disks: Sequence[SourceDisk],
    *,
    snapshot: Any = None,
    nvram_bytes: int = 0,
) -> Definition:
    """Have vSphere describe a machine, or one of its snapshots.

    Raises HypervisorError when it cannot, NotSupported on releases that do not.
    """
    files = [
        vim.OvfManager.OvfFile(
            deviceId=f"/{moid(vm)}/{disk.place}",
            path=file_name(disk.disk.name),
            size=0,
            capacity=disk.disk.size,
        )
        for disk in disks
    ]
    if nvram_bytes:
        files.append(
            vim.OvfManager.OvfFile(deviceId=f"/{moid(vm)}/nvram", path=NVRAM_FILE, size=nvram_bytes)
        )
    parameters = vim.OvfManager.CreateDescriptorParams(
        name=name, ovfFiles=files, includeImageFiles=False, snapshot=snapshot
    )
    result = connection.call(
        lambda: connection.content.ovfManager.CreateDescriptor(vm, parameters),
        f"describe '{name}'",
    )
    if result.error or not result.ovfDescriptor:
        reasons = "; ".join(str(fault.msg or type(fault).__name__) for fault in result.error or ())
        raise HypervisorError(
            f"vSphere cannot describe '{name}': {reasons or 'it gives no descriptor'}",
            hint="See the devices of the virtual machine: one of them has no place in an OVF.",
        )
    return Definition(KIND, result.ovfDescriptor.encode())
