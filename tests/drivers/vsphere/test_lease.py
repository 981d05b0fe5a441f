"""Leases live as long as somebody reads, on vCenters and on hosts of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.disks import VsphereDisks
from hypersdk.drivers.vsphere.leftovers import VsphereLeftovers
from hypersdk.drivers.vsphere.routes import reading
from tests.drivers.vsphere.reading import DISK, MIB, SIZE, WRITES, content_of, disk_of, tokens
from tests.vsphere.lab import VsphereLab


@pytest.fixture(autouse=True)
def _password(vsphere_lab: VsphereLab) -> None:
    """Sets it for labs of our own, too."""


@contextmanager
def own_lab(folder: Path, **flags: object) -> Iterator[tuple[VsphereLab, Connection]]:
    """A lab that differs from the one that all tests share, with a running machine ``web``."""
    with VsphereLab.start(folder, **flags) as lab:
        lab.add_vm(name="web", running=True, cbt=True, disks=[{"size": SIZE, "thin": True}])
        lab.write("web", 0, WRITES)
        connection = Connection(address(lab.url))
        try:
            yield lab, connection
        finally:
            connection.close()


def test_a_lease_outlives_a_slow_reader(tmp_path: Path) -> None:
    with own_lab(tmp_path, lease_timeout=2) as (lab, connection):
        with VsphereDisks(connection).view("web", {}) as view, disk_of(view).open() as source:
            sink = MemorySink(source.size)
            time.sleep(5)  # whoever writes the disk blocks
            copy(source, sink)
            view.confirm()
        assert sink.content == lab.content("web", 0)
        assert not lab.state()["leases"]


def test_progress_is_told_by_the_place_on_the_disk(tmp_path: Path) -> None:
    with own_lab(tmp_path, lease_timeout=2) as (lab, connection):
        lab.write("web", 0, [{"offset": SIZE // 2, "length": MIB, "seed": "middle"}])
        with VsphereDisks(connection).view("web", {}) as view, disk_of(view).open() as source:
            for extent in source.extents():
                if extent.start >= SIZE // 2:
                    break
            deadline = time.monotonic() + 20
            while not lab.state()["leases"][0]["progress"] >= 40:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def test_a_host_of_its_own_is_read(tmp_path: Path) -> None:
    with own_lab(tmp_path, esx=True) as (lab, connection):
        with VsphereDisks(connection).view("web", {}) as view:
            assert content_of(disk_of(view)) == lab.content("web", 0)
            view.confirm()
        assert not lab.state()["leases"]
        assert not lab.state()["snapshots"]
        assert not VsphereLeftovers(connection).reap()


def test_a_host_that_serves_files_of_running_machines(tmp_path: Path) -> None:
    with own_lab(tmp_path, read_running=True) as (lab, connection):
        disks = VsphereDisks(connection)
        assert f"{DISK} by ranges" in reading(connection, connection.vm("web"))
        with disks.view("web", {}) as view:
            before, known = content_of(disk_of(view)), tokens(view)
        assert before == lab.content("web", 0)
        lab.write("web", 0, [{"offset": 3 * MIB, "length": 512, "seed": "new"}])
        with disks.view("web", known) as view:
            now = lab.content("web", 0)
            lab.write("web", 0, [{"offset": 3 * MIB, "length": 512, "seed": "later"}])
            assert disk_of(view).incremental
            assert content_of(disk_of(view), before) == now
            view.confirm()
        assert not lab.state()["snapshots"]
