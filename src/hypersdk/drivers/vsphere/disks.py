"""The ``disks`` part: read the disks of virtual machines."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from hypersdk.drivers.diskports import BackupView, Rewriting, ViewOptions
from hypersdk.drivers.vsphere import temporary, tracking
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import concerning
from hypersdk.drivers.vsphere.leftovers import end_leases
from hypersdk.drivers.vsphere.machine import Machine, named_snapshot
from hypersdk.drivers.vsphere.views import VsphereView
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidState, NotSupported

_log = logging.getLogger(__name__)

_LIMITS = (Limit("disks.rewrite", "vSphere lets nobody write into a disk that exists"),)
_STREAM = Limit(
    "disks.random_access",
    "an export stream is read once, from its beginning; with reader=range or reader=nbd, areas are "
    "read in any order",
)


class VsphereDisks:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection, *, silence: float | None = None) -> None:
        """``silence``: seconds that an export stream may be silent; None: as in `nfc`."""
        self._connection = connection
        self._silence = silence
        streams = connection.address.reader in ("auto", "nfc")
        self.limits: tuple[Limit, ...] = (*_LIMITS, _STREAM) if streams else _LIMITS

    def view(
        self, name: str, since: Mapping[str, str], options: ViewOptions | None = None
    ) -> BackupView:
        """See the port. A temporary snapshot of a run that died is removed before."""
        with concerning(f"'{name}'"):
            return self._view(name, since, options or ViewOptions())

    def _view(self, name: str, since: Mapping[str, str], options: ViewOptions) -> BackupView:
        vm = self._connection.vm(name)
        machine = Machine.observe(self._connection, vm)
        for line in end_leases(self._connection, machine.name):
            _log.info("%s", line)
        if temporary.clean(self._connection, vm, machine.name):
            machine = Machine.observe(self._connection, vm)  # its disks have other files now
        if under_way := temporary.found(self._connection, vm):
            raise InvalidState(
                f"another backup of '{machine.name}' is under way: {under_way[0].owner.host}, "
                f"process {under_way[0].owner.pid}",
                hint=f"Wait for it. If it is gone, remove the snapshot {under_way[0].name}.",
            )
        return VsphereView(self._connection, machine, since, options, silence=self._silence)

    def snapshot_view(
        self, name: str, snapshot: str, options: ViewOptions | None = None
    ) -> BackupView:
        """Read an existing snapshot, by its name or id; it stays. Raises NotFound."""
        with concerning(f"'{name}'"):
            vm = self._connection.vm(name)
            machine = Machine.observe(self._connection, vm)
            for line in end_leases(self._connection, machine.name):
                _log.info("%s", line)
            found = named_snapshot(self._connection, machine, snapshot)
            chosen = options or ViewOptions()
            return VsphereView(
                self._connection, machine, {}, chosen, snapshot=found, silence=self._silence
            )

    def rewrite(self, name: str) -> Rewriting:
        """Raises NotSupported: vSphere lets nobody write into a disk that exists."""
        self._connection.vm(name)
        raise NotSupported(
            f"the disks of '{name}' cannot be written in place: vSphere takes whole disks only",
            hint="Restore it as a new machine, in place of the old one: --overwrite",
        )

    def set_change_tracking(self, name: str, on: bool) -> None:
        """See `tracking.set_change_tracking`."""
        tracking.set_change_tracking(self._connection, name, on)
