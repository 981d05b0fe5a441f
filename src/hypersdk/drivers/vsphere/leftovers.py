"""The ``leftovers`` part: remove what killed runs left on a vCenter or ESXi host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyVmomi import vim

from hypersdk.drivers.vsphere import records, temporary
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.translate import plain
from hypersdk.model.errors import HyperSDKError, NotFound


class VsphereLeftovers:
    """Snapshots are known by their mark, leases by records on this machine. Programs of NBD
    providers end with the run that started them, sessions by vSphere's own clock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reap(self, *, dry_run: bool = False) -> Sequence[str]:
        """See the port."""
        leases = end_leases(self._connection, dry_run=dry_run)  # before the snapshots they hold
        return [*leases, *self._snapshots(dry_run=dry_run)]

    def _snapshots(self, *, dry_run: bool) -> Iterator[str]:
        for moid, row in list(self._connection.collect(vim.VirtualMachine, ["name", "snapshot"])):
            if row["snapshot"] is None:
                continue
            vm, name = self._connection.object(vim.VirtualMachine, moid), plain(str(row["name"]))
            try:
                yield from temporary.clean(self._connection, vm, name, dry_run=dry_run)
            except NotFound:
                continue  # the machine went meanwhile
            except HyperSDKError as error:
                yield f"{name}: {error.message}; left for later"


def end_leases(
    connection: Connection, instance: str = "", *, dry_run: bool = False
) -> Iterator[str]:
    """Abort leases that runs on this machine left which died: they lock their machine until they
    expire. ``instance``: only of this one. A line for each."""
    for record in list(records.of_the_dead(connection.url)):
        if instance and record.instance != instance:
            continue
        lease = connection.object(vim.HttpNfcLease, record.lease)
        said = f"{record.instance}: aborted the lease {record.lease} of a run that died"
        try:
            if not dry_run:
                connection.call(lease.HttpNfcLeaseAbort, "abort a lease")
                record.end()
        except NotFound:
            record.end()
            said = f"{record.instance}: the lease {record.lease} of a run that died is over"
        except HyperSDKError as error:
            said = f"{record.instance}: {error.message}; left for later"
        yield said
