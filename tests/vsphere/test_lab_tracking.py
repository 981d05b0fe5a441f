"""The lab's change tracking: bookmarks, pages, and the ways they go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vsphere.client import Client, client, disks, finish, vim, vmodl
from tests.vsphere.lab import VsphereLab

BLOCK = 64 << 10
MIB = 1 << 20


@pytest.fixture
def session(vsphere_lab: VsphereLab) -> Iterator[Client]:
    with client(vsphere_lab) as opened:
        yield opened
    vsphere_lab.clear_faults()


@pytest.fixture
def machine(vsphere_lab: VsphereLab, session: Client) -> Iterator[Any]:
    vsphere_lab.add_vm(name="tracked", disks=[{"size": 16 * MIB}], cbt=True, running=True)
    yield session.vm("tracked")
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm("tracked")


def areas(machine: Any, taken: Any, since: str) -> list[tuple[int, int]]:
    """All areas, page by page, as a client should ask."""
    found: list[tuple[int, int]] = []
    (device,) = disks(taken)
    at = 0
    while at < device.capacityInBytes:
        page = machine.QueryChangedDiskAreas(taken, device.key, at, since)
        assert page.startOffset == at
        assert page.length > 0
        found += [(area.start, area.length) for area in page.changedArea]
        at += page.length
    return found


def bookmark(taken: Any) -> str:
    (device,) = disks(taken)
    return str(device.backing.changeId)


def write_blocks(lab: VsphereLab, *blocks: int) -> None:
    lab.write(
        "tracked", 0, [{"offset": block * BLOCK, "length": BLOCK, "seed": "x"} for block in blocks]
    )


def test_changes_between_two_snapshots(
    vsphere_lab: VsphereLab, session: Client, machine: Any
) -> None:
    first = session.snapshot(machine, "first")
    write_blocks(vsphere_lab, 3, 4, 9)
    second = session.snapshot(machine, "second")
    write_blocks(vsphere_lab, 100)
    assert bookmark(first).startswith("52 ")
    assert bookmark(first) != bookmark(second)
    assert areas(machine, second, bookmark(first)) == [(3 * BLOCK, 2 * BLOCK), (9 * BLOCK, BLOCK)]
    assert areas(machine, second, bookmark(second)) == []
    assert areas(machine, second, "*") == [(0, MIB)]  # allocated, in the datastore's units


def test_bookmarks_outlive_their_snapshots(
    vsphere_lab: VsphereLab, session: Client, machine: Any
) -> None:
    first = session.snapshot(machine, "first")
    since = bookmark(first)
    finish(first.RemoveSnapshot_Task(False))
    write_blocks(vsphere_lab, 7)
    assert areas(machine, session.snapshot(machine, "second"), since) == [(7 * BLOCK, BLOCK)]


def test_what_makes_bookmarks_void(vsphere_lab: VsphereLab, session: Client, machine: Any) -> None:
    first = session.snapshot(machine, "first")
    since = bookmark(first)
    vsphere_lab.reset_cbt("tracked")
    second = session.snapshot(machine, "second")
    with pytest.raises(vim.fault.FileFault):
        areas(machine, second, since)
    with pytest.raises(vmodl.fault.InvalidArgument):
        areas(machine, second, "nonsense")
    with pytest.raises(vmodl.fault.InvalidArgument):
        machine.QueryChangedDiskAreas(second, 2000, 16 * MIB, "*")
    since = bookmark(second)
    finish(first.RevertToSnapshot_Task())
    with pytest.raises(vim.fault.FileFault):
        areas(machine, session.snapshot(machine, "third"), since)


def test_a_running_machine_begins_to_track_at_its_next_snapshot(
    vsphere_lab: VsphereLab, session: Client
) -> None:
    vsphere_lab.add_vm(name="later", disks=[{"size": MIB}], running=True)
    machine = session.vm("later")
    finish(machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    assert machine.config.changeTrackingEnabled is True
    assert disks(machine)[0].backing.changeId is None
    taken = session.snapshot(machine, "first")
    finish(taken.RemoveSnapshot_Task(False))
    assert disks(machine)[0].backing.changeId is not None
    vsphere_lab.remove_vm("later")


def test_an_idle_machine_begins_to_track_at_once(vsphere_lab: VsphereLab, session: Client) -> None:
    vsphere_lab.add_vm(name="idle", disks=[{"size": MIB}])
    machine = session.vm("idle")
    assert disks(machine)[0].backing.changeId is None
    finish(machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    assert disks(machine)[0].backing.changeId is not None
    vsphere_lab.remove_vm("idle")


def test_an_empty_page_in_the_middle_is_no_end(
    vsphere_lab: VsphereLab, session: Client, machine: Any
) -> None:
    since = bookmark(session.snapshot(machine, "first"))
    write_blocks(vsphere_lab, 0, 1, 50, 90)
    second = session.snapshot(machine, "second")
    vsphere_lab.fault("empty_page", vm="tracked")
    assert areas(machine, second, since) == [
        (0, 2 * BLOCK), (50 * BLOCK, BLOCK), (90 * BLOCK, BLOCK),
    ]  # fmt: skip


def test_pages_that_lie(vsphere_lab: VsphereLab, session: Client, machine: Any) -> None:
    since = bookmark(session.snapshot(machine, "first"))
    write_blocks(vsphere_lab, 5, 9)
    second = session.snapshot(machine, "second")
    vsphere_lab.fault("zero_page")
    assert machine.QueryChangedDiskAreas(second, 2000, 0, since).length == 0
    vsphere_lab.fault("wrong_page")
    assert machine.QueryChangedDiskAreas(second, 2000, 0, since).startOffset != 0
    vsphere_lab.fault("lying_areas")
    assert areas(machine, second, since) == [(5 * BLOCK, BLOCK)]
    assert areas(machine, second, since) == [(5 * BLOCK, BLOCK), (9 * BLOCK, BLOCK)]


def test_small_pages(tmp_path: Path) -> None:
    with VsphereLab.start(tmp_path / "lab", areas_page=2) as lab, client(lab) as session:
        lab.add_vm(name="tracked", disks=[{"size": 16 * MIB}], cbt=True)
        machine = session.vm("tracked")
        since = bookmark(session.snapshot(machine, "first"))
        write_blocks(lab, *range(0, 40, 4))
        second = session.snapshot(machine, "second")
        assert len(machine.QueryChangedDiskAreas(second, 2000, 0, since).changedArea) == 2
        assert areas(machine, second, since) == [
            (block * BLOCK, BLOCK) for block in range(0, 40, 4)
        ]
