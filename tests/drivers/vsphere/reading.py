"""What tests of reading share: a machine with something on its disks, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.drivers.diskports import BackupView, DiskView, ViewOptions
from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.disks import VsphereDisks
from hypersdk.model.instances import Purpose
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab

MIB = 1 << 20
KIB = 1 << 10
DISK = "scsi0-0"
SIZE = 8 * MIB
#: Here and there, one grain whole, one across a boundary.
WRITES = (
    {"offset": 0, "length": 512, "seed": "first"},
    {"offset": MIB - 1000, "length": 300_000, "seed": "across"},
    {"offset": SIZE - 512, "length": 512, "seed": "last"},
)


class Machines:
    """Makes machines with content, and reads them."""

    def __init__(self, lab: VsphereLab, made: Made, connection: Connection) -> None:
        self.lab, self._made, self.connection = lab, made, connection
        self.disks = VsphereDisks(connection, silence=20.0)
        self._others: list[Connection] = []

    def make(self, *, disks: int = 1, size: int = SIZE, **fields: Any) -> str:
        name = self._made(disks=[{"size": size, "thin": True} for _ in range(disks)], **fields)
        for number in range(disks):
            self.lab.write(name, number, WRITES)
        return name

    def make_with(self, disks: list[dict[str, Any]], **fields: Any) -> str:
        """With disks as they are given, empty."""
        return self._made(disks=disks, **fields)

    def by(self, reader: str) -> VsphereDisks:
        """The part over a connection whose URL asks for a reader."""
        other = Connection(address(f"{self.lab.url}&reader={reader}"))
        self._others.append(other)
        return VsphereDisks(other, silence=20.0)

    def close(self) -> None:
        """Log out."""
        for other in self._others:
            other.close()

    def host(self, name: str) -> str:
        """Where it runs."""
        vm = self.connection.vm(name)
        host = self.connection.get(vm, "runtime.host")["runtime.host"]
        return str(self.connection.get(host, "name")["name"])

    def state(self, name: str) -> tuple[list[Any], list[Any]]:
        """Leases and snapshots of a machine: a run has to leave none."""
        found = self.lab.state()
        return (
            [each for each in found["leases"] if each["vm"] == name],
            [each for each in found["snapshots"] if each["vm"] == name],
        )

    def settled(self, name: str) -> None:
        assert self.state(name) == ([], [])


def disk_of(view: BackupView, name: str = DISK) -> DiskView:
    return next(disk for disk in view.disks if disk.disk.name == name)


def content_of(disk: DiskView, before: bytes = b"", *, full: bool = False) -> bytes:
    """All of a disk, by its extents, over what was ``before``."""
    with disk.open(full=full) as source:
        sink = MemorySink(source.size, initial=before or None)
        copy(source, sink)
    return sink.content


def read_all(view: BackupView) -> dict[str, bytes]:
    return {
        disk.disk.name: content_of(disk) for disk in view.disks if disk.disk.purpose is Purpose.DISK
    }


def tokens(view: BackupView) -> dict[str, str]:
    return {disk.disk.name: disk.checkpoint for disk in view.disks if disk.checkpoint}


def backed_up(machines: Machines, name: str) -> tuple[dict[str, str], bytes]:
    """Tokens and content of the first disk, by a whole read."""
    with machines.disks.view(name, {}) as view:
        content = read_all(view)[DISK]
        view.confirm()
        return tokens(view), content


def since(machines: Machines, name: str, known: Mapping[str, str]) -> BackupView:
    return machines.disks.view(name, known, ViewOptions(freeze=False))


@pytest.fixture
def machines(vsphere_lab: VsphereLab, made: Made, connection: Connection) -> Iterator[Machines]:
    found = Machines(vsphere_lab, made, connection)
    yield found
    found.close()
