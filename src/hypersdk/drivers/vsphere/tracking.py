"""Changed block tracking (CBT): on or off for a virtual machine, only when somebody asks for it."""

from __future__ import annotations

import re
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import temporary
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.errors import InvalidState, NotSupported

#: Virtual hardware before it records nothing.
_FIRST_HARDWARE = 7


def set_change_tracking(connection: Connection, name: str, on: bool) -> None:
    """Switch it for all disks that can be tracked; nothing happens when it is so already.

    A running machine needs a moment of standstill for it, which a temporary snapshot gives.
    Raises InvalidState while there are snapshots (their disks would be recorded wrongly),
    NotSupported for old virtual hardware.
    """
    vm = connection.vm(name)
    row = connection.get(
        vm,
        "config.changeTrackingEnabled",
        "config.version",
        "capability.changeTrackingSupported",
        "snapshot",
        "runtime.powerState",
    )
    if bool(row["config.changeTrackingEnabled"]) == on:
        return
    _check(name, row)
    connection.task(
        lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=on)),
        f"switch change tracking of '{name}' {'on' if on else 'off'}",
    )
    if str(row["runtime.powerState"]) == "poweredOn":
        snapshot, _, _ = temporary.create(connection, vm, name, freeze=False)
        temporary.remove(connection, vm, snapshot, name)


def _check(name: str, row: dict[str, Any]) -> None:
    if row["snapshot"] is not None:
        raise InvalidState(
            f"'{name}' has snapshots: change tracking switched now would record wrong areas",
            hint="Remove its snapshots first.",
        )
    version = re.search(r"\d+", str(row["config.version"] or ""))
    old = version is not None and int(version[0]) < _FIRST_HARDWARE
    if old or row["capability.changeTrackingSupported"] is False:
        raise NotSupported(
            f"'{name}' has virtual hardware ({row['config.version']}) that records no changes",
            hint="Upgrade its virtual hardware; it is read in full until then.",
        )
