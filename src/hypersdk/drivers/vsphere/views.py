"""A virtual machine at one moment, read disk by disk.

A running machine gets one temporary snapshot for all of its disks, so that they belong together; a
stopped one only when changes are recorded, since it is by snapshots that vSphere names moments. All
that is begun on the host ends with the view, whatever happens.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import DiskView, ViewOptions
from hypersdk.drivers.vsphere import ovfdefinition, temporary
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.diskviews import DiskReading, NvramView, VsphereDiskView
from hypersdk.drivers.vsphere.errors import concerning
from hypersdk.drivers.vsphere.exporting import Exporting
from hypersdk.drivers.vsphere.flatfiles import open_file
from hypersdk.drivers.vsphere.machine import Machine, snapshot_disks
from hypersdk.drivers.vsphere.routes import needs_snapshot, provider
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk
from hypersdk.drivers.vsphere.standstill import Moments, Standstill
from hypersdk.model.errors import HyperSDKError, HypervisorError, InvalidState, NotFound
from hypersdk.model.instances import Consistency, Definition, InstanceState

_log = logging.getLogger(__name__)

#: Bytes of UEFI variables at most.
_MOST_NVRAM = 16 << 20


class VsphereView:
    """See the port (`BackupView`)."""

    def __init__(
        self,
        connection: Connection,
        machine: Machine,
        since: Mapping[str, str],
        options: ViewOptions,
        *,
        snapshot: Any = None,
        silence: float | None = None,
    ) -> None:
        """``snapshot``: an existing one that is read; it stays. ``silence``: seconds that an
        export stream may be silent."""
        self._connection, self._machine, self._options = connection, machine, options
        self._snapshot, self._ours = snapshot, False
        self._silence = silence
        self._warnings: list[str] = []
        self._ended = False
        self._ending = ExitStack()
        self.instance = machine.instance
        self.consistency = Consistency.OFFLINE
        self.definition: Definition | None = None
        try:
            self._begin(since)
        except BaseException:
            self._end(failed=True)
            raise

    def _begin(self, since: Mapping[str, str]) -> None:
        chosen_provider = provider(self._connection)
        by_snapshot = self._snapshot is not None or needs_snapshot(self._machine)
        self._chosen(self._machine.disks(), snapshot=by_snapshot)  # refuse before we begin
        self._standstill = Standstill.begin(self._connection, self._machine)
        self._moments = Moments(self._connection, self._machine)
        self.moment = self._named_moment()
        if self._snapshot is None and by_snapshot:
            self._take_snapshot()
        disks = self._moment()
        self._exporting = self._exports(disks)
        self._ending.callback(self._exporting.close)
        reading = DiskReading(
            self._connection,
            self._machine,
            self._snapshot,
            self._exporting,
            chosen_provider,
            self._ending,
        )
        self._views: list[VsphereDiskView] = [reading.view(disk, since) for disk in disks]
        self._warnings += reading.warnings
        self._files = self._nvram()
        self._describe(disks)
        self._warn()

    def _named_moment(self) -> str:
        """By which a later run can ask whether the machine stood still since; empty: it cannot."""
        if self._snapshot is not None:  # an older moment than now
            return ""
        try:
            return self._moments.now()
        except HypervisorError as error:
            _log.info("its moment has no name: %s", error.message)
            return ""

    def still(self, moment: str) -> bool:
        """Whether the disks are what they were when an earlier view had this ``moment``. False
        also where that cannot be told. Raises HypervisorError."""
        return bool(self.moment) and self._moments.still(moment)

    def _take_snapshot(self) -> None:
        machine = self._machine
        running = machine.instance.state is InstanceState.RUNNING
        freeze = self._options.freeze and running and machine.tools
        self._snapshot, frozen, why = temporary.create(
            self._connection, machine.vm, machine.name, freeze=freeze
        )
        self._ours = True
        if running:
            self.consistency = Consistency.FILESYSTEM if frozen else Consistency.CRASH
        if why:
            self._warnings.append(f"filesystems were not frozen: {why}")

    def _moment(self) -> list[SourceDisk]:
        """The disks as they are read."""
        if self._snapshot is None:
            found = self._machine.disks()
        else:
            found = snapshot_disks(self._connection, self._snapshot, self._machine)
        return self._chosen(found, snapshot=self._snapshot is not None)

    def _chosen(self, disks: Sequence[SourceDisk], *, snapshot: bool) -> list[SourceDisk]:
        """Without those that are excluded. Raises HypervisorError for one that cannot be read."""
        name = self._machine.name
        there = {disk.name for disk in self._machine.instance.disks}
        if missing := sorted(self._options.exclude - there):
            raise NotFound(
                f"'{name}' has no disk {', '.join(missing)} to exclude",
                hint=f"It has {', '.join(sorted(there)) or 'none'}.",
            )
        wanted = [disk for disk in disks if disk.disk.name not in self._options.exclude]
        for disk in wanted:
            if problem := disk.problem(snapshot=snapshot):
                raise HypervisorError(
                    f"disk {disk.disk.name} of '{name}' cannot be read: {problem}",
                    hint=f"Leave it out (--exclude {disk.disk.name}), and save it from inside.",
                )
        return wanted

    def _exports(self, disks: Sequence[SourceDisk]) -> Exporting:
        snapshot, vm = self._snapshot, self._machine.vm
        begin = vm.ExportVm if snapshot is None else snapshot.ExportSnapshot
        silence = {} if self._silence is None else {"silence": self._silence}
        return Exporting(self._connection, begin, self._machine.name, disks, **silence)

    def _nvram(self) -> list[NvramView]:
        path = self._machine.nvram
        if path is None:
            return []
        try:
            machine = self._machine
            file = open_file(self._connection, machine.datacenter, path, machine.name)
            content: bytes | None = file.read_all(_MOST_NVRAM)
        except HyperSDKError as error:
            _log.info("the NVRAM is looked for in the export lease: %s", error.message)
            content = self._leased_nvram()
        if not content:
            self._warnings.append(
                "the UEFI variables (NVRAM) cannot be read: a restored one boots with fresh ones"
            )
            return []
        return [NvramView(content, str(path))]

    def _leased_nvram(self) -> bytes | None:
        try:
            return self._exporting.nvram()
        except HypervisorError as error:
            _log.info("there is no NVRAM in a lease: %s", error.message)
            return None

    def _describe(self, disks: Sequence[SourceDisk]) -> None:
        try:
            self.definition = ovfdefinition.describe(
                self._connection,
                self._machine.vm,
                self._machine.name,
                disks,
                snapshot=self._snapshot,
                nvram_bytes=sum(view.disk.size for view in self._files),
            )
        except HypervisorError as error:
            self._warnings.append(f"there is no definition: {error.message}")

    def _warn(self) -> None:
        if self._machine.has_tpm:
            self._warnings.append("the state of its TPM never leaves vSphere: it is not in here")
        if self._machine.encrypted:
            self._warnings.append("it is encrypted on vSphere; what is read here is not")

    @property
    def disks(self) -> Sequence[DiskView]:
        return [*self._views, *self._files]

    @property
    def warnings(self) -> Sequence[str]:
        return [*self._warnings, *self._exporting.warnings]

    def confirm(self) -> None:
        """See the port. Also completes the leases, whose manifests must agree with what came."""
        with concerning(f"'{self._machine.name}'"):
            self._exporting.confirm()
            self._confirm_moment()

    def _confirm_moment(self) -> None:
        name = self._machine.name
        if self._snapshot is None:
            self._standstill.check()
        elif not temporary.exists(self._connection, self._machine.vm, self._snapshot):
            raise InvalidState(
                f"the snapshot of '{name}' was removed while it was read: what was read is of "
                "several moments",
                hint="See in its events who removed it, and run it again.",
            )

    def keep_checkpoints(self) -> None:
        """vSphere keeps its record of changes by itself; nothing has to go either."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(failed=error is not None)

    def _end(self, *, failed: bool) -> None:
        """``failed``: an error is on its way that must not be hidden by one of cleaning up."""
        if self._ended:
            return
        self._ended = True
        with CancelToken().scope():
            try:
                self._ending.close()
            finally:
                self._remove_snapshot(failed=failed)

    def _remove_snapshot(self, *, failed: bool) -> None:
        if not self._ours:
            return
        try:
            temporary.remove(self._connection, self._machine.vm, self._snapshot, self._machine.name)
        except HyperSDKError as error:
            if not failed:
                raise
            _log.error("%s", error)
