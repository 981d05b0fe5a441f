"""One disk of a view, and what makes it readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from hypersdk.datapath.memory import MemorySource
from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.vsphere.changes import ChangeRecord, Known, trusted
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.exporting import Exporting
from hypersdk.drivers.vsphere.machine import Machine
from hypersdk.drivers.vsphere.nbdprovider import Provider, serve, sha1_thumbprint
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.ranges import KnownSource, RangeSource
from hypersdk.drivers.vsphere.routes import Choice, Route, choose
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk, Token
from hypersdk.model.instances import Disk, Purpose

_NVRAM = Purpose.NVRAM.value


class DiskReading:
    """Makes the views of one machine's disks; what they need ends with ``ending``."""

    def __init__(
        self,
        connection: Connection,
        machine: Machine,
        snapshot: Any,
        exporting: Exporting,
        provider: Provider | None,
        ending: ExitStack,
    ) -> None:
        self._connection, self._machine, self._snapshot = connection, machine, snapshot
        self._exporting, self._provider, self._ending = exporting, provider, ending
        self._record = ChangeRecord(connection, machine.vm, machine.name, snapshot)
        self.warnings: list[str] = []

    def view(self, disk: SourceDisk, since: Mapping[str, str]) -> VsphereDiskView:
        """Raises HypervisorError when the route that was asked for cannot read it."""
        choice = choose(self._connection, self._machine, disk)
        token = Token.of(disk)
        if choice.route is Route.STREAM:
            return self._streamed(disk, choice, token)
        base = self._base(disk, choice)
        known = trusted(self._record.of(disk, since), base, disk.disk.name)
        if known.warning:
            self.warnings.append(known.warning)

        def opened(full: bool) -> BlockSource:
            if full and known.changed is not None:  # the record is in doubt, all of it
                return KnownSource(base.clone(), changed=None, allocated=None)
            return KnownSource(base.clone(), changed=known.changed, allocated=known.allocated)

        return VsphereDiskView(disk, choice, known, token, opened)

    def _streamed(self, disk: SourceDisk, choice: Choice, token: Token | None) -> VsphereDiskView:
        name = disk.disk.name
        reason = "an export stream brings the whole disk; only what differs is stored"
        return VsphereDiskView(
            disk, choice, Known(None, None, reason), token, lambda _: self._exporting.open(name)
        )

    def _base(self, disk: SourceDisk, choice: Choice) -> BlockSource:
        name = f"disk {disk.disk.name} of '{self._machine.name}'"
        if choice.file is not None:
            source = RangeSource(self._connection, choice.file.url, disk.disk.size, name)
            return self._ending.enter_context(source)
        assert self._provider is not None
        values = {
            "server": self._connection.address.host,
            "user": self._connection.address.user,
            "thumbprint": self._thumbprint(),
            "vm": moid(self._machine.vm),
            "snapshot": moid(self._snapshot) if self._snapshot is not None else "",
            "file": disk.disk.path,
        }
        password = self._connection.address.password()
        return self._ending.enter_context(serve(self._provider, values, password, name))

    def _thumbprint(self) -> str:
        http = self._connection.http(self._connection.address.endpoint)
        try:
            return sha1_thumbprint(http.sock.getpeercert(binary_form=True) or b"")
        finally:
            http.close()


class VsphereDiskView:
    """See the port."""

    def __init__(
        self,
        disk: SourceDisk,
        choice: Choice,
        known: Known,
        token: Token | None,
        opened: Callable[[bool], BlockSource],
    ) -> None:
        self.source_disk = disk
        self.disk: Disk = disk.disk
        self.route = choice.route
        self.checkpoint: str | None = str(token) if token else None
        self.incremental = known.changed is not None
        self.reason = f"{known.reason}; read {choice.how}"
        self._opened = opened

    def open(self, *, full: bool = False) -> BlockSource:
        """See the port. By an export stream: read once, from front to back (`NfcSource`)."""
        return self._opened(full)


class NvramView:
    """``DiskView`` of the UEFI variables, which are small and kept whole."""

    def __init__(self, content: bytes, path: str) -> None:
        self._content = content
        self.disk = Disk(_NVRAM, len(content), "raw", path, Purpose.NVRAM)
        self.checkpoint: str | None = None
        self.incremental = False
        self.reason = "read in full each time"

    def open(self, *, full: bool = False) -> BlockSource:  # noqa: ARG002 - it is always full
        return MemorySource(self._content)
