"""How a disk is read: export stream, ranges of its file, or a program of the user's.

Chosen before anything is read, by asking the host; the reason goes into the plan.

================  ================================  ==========================================
route             gives                             where
================  ================================  ==========================================
export stream     the whole disk once, packed       everywhere; needs VApp.Export
ranges            any area, thus only what changed  where the host serves ranges of the file
NBD provider      any area                          where the user has such a program
================  ================================  ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hypersdk.drivers.vsphere import temporary
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.flatfiles import DatastoreFile, flat_file
from hypersdk.drivers.vsphere.machine import Machine
from hypersdk.drivers.vsphere.nbdprovider import Provider
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk
from hypersdk.model.errors import HyperSDKError, HypervisorError, InvalidInput
from hypersdk.model.instances import InstanceState


class Route(Enum):
    """See the table above."""

    STREAM = "nfc"
    RANGES = "range"
    PROVIDER = "nbd"


@dataclass(frozen=True, slots=True)
class Choice:
    """The way one disk is read."""

    route: Route
    #: How, and why so: "by ranges of [ds] web/web-flat.vmdk".
    how: str
    #: For `Route.RANGES`.
    file: DatastoreFile | None = None


def provider(connection: Connection) -> Provider | None:
    """The NBD provider that the user named. Raises InvalidInput."""
    address = connection.address
    if address.nbd_provider:
        return Provider.read(address.nbd_provider)
    if address.reader == "nbd":
        raise InvalidInput(
            "no NBD provider is named",
            hint="Add &nbd-provider=FILE.toml to the URL; docs/vsphere.md shows one.",
        )
    return None


def choose(
    connection: Connection,
    machine: Machine,
    disk: SourceDisk,
) -> Choice:
    """Raises HypervisorError when the reader that the URL asks for cannot read this disk."""
    reader = connection.address.reader
    if reader == "nbd" or (reader == "auto" and connection.address.nbd_provider):
        return Choice(Route.PROVIDER, f"by the NBD provider {connection.address.nbd_provider}")
    if reader == "nfc":
        return Choice(Route.STREAM, "by an export stream, as the URL asks for")
    if reader == "auto" and not disk.change_id:
        return Choice(
            Route.STREAM,
            "by an export stream, which leaves out what was never written; nothing else tells",
        )
    try:
        found = flat_file(
            connection, machine.datacenter, disk.disk.path, disk.disk.size, machine.name
        )
    except HyperSDKError as error:
        found = error.message
    if isinstance(found, DatastoreFile):
        where = found.name.removesuffix(f" of '{machine.name}'")
        return Choice(Route.RANGES, f"by ranges of {where}", found)
    if reader == "range":
        raise HypervisorError(
            f"disk {disk.disk.name} of '{machine.name}' cannot be read by ranges: {found}",
            hint="Leave out reader=range from the URL: it is then read by an export stream.",
        )
    return Choice(Route.STREAM, f"by an export stream, since ranges are not served: {found}")


def reading(connection: Connection, vm: object) -> str:
    """How the disks of a virtual machine would be read now, and why so. Changes nothing.

    Raises NotFound when it is gone; what else goes wrong is part of the sentence.
    """
    try:
        provider(connection)
        machine = Machine.observe(connection, vm)
        snapshot = needs_snapshot(machine)
        hows: dict[str, list[str]] = {}
        for disk in machine.disks():
            problem = disk.problem(snapshot=snapshot)
            how = f"not at all: {problem}" if problem else _how(connection, machine, disk)
            hows.setdefault(how, []).append(disk.disk.name)
    except InvalidInput as error:
        return f"not at all: {error.message}"
    ways = "; ".join(f"{', '.join(names)} {how}" for how, names in hows.items())
    by = " from one temporary snapshot" if snapshot else ""
    return f"{ways or 'it has no disks'}{by}"


def _how(connection: Connection, machine: Machine, disk: SourceDisk) -> str:
    try:
        return choose(connection, machine, disk).how
    except HypervisorError as error:
        if any(left.owner.is_gone for left in temporary.found(connection, machine.vm)):
            return "as the URL asks for, once the snapshot of a run that died is removed"
        return f"not at all: {error.message}"


def needs_snapshot(machine: Machine) -> bool:
    """A stopped machine without a record of changes can be read as it is, and so can a template."""
    stopped = machine.instance.state is InstanceState.STOPPED
    return not (machine.template or (stopped and not machine.tracked))
