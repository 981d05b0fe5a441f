"""Incremental reads bring what changed and nothing else, and no record is believed that lies."""

from __future__ import annotations

from hypersdk.model.extents import ExtentKind
from tests.drivers.vsphere.reading import (
    DISK,
    KIB,
    MIB,
    SIZE,
    Machines,
    backed_up,
    content_of,
    disk_of,
    machines,
    read_all,
    since,
    tokens,
)

__all__ = ["machines"]


def test_only_what_changed_is_read(machines: Machines) -> None:
    name = machines.make(cbt=True)
    known, before = backed_up(machines, name)
    machines.lab.write(
        name,
        0,
        [
            {"offset": 3 * MIB + 5, "length": 100, "seed": "new"},
            {"offset": MIB, "length": 128 * KIB, "zero": True},
        ],
    )
    with since(machines, name, known) as view:
        disk = disk_of(view)
        assert disk.incremental, disk.reason
        assert "changed since" in disk.reason
        assert "ranges" in disk.reason
        with disk.open() as source:
            dirty = [each for each in source.extents() if each.kind is not ExtentKind.UNCHANGED]
        assert sum(each.length for each in dirty) == 192 * KIB
        assert content_of(disk, before) == machines.lab.content(name, 0)
        assert content_of(disk, full=True) == machines.lab.content(name, 0)
    machines.settled(name)


def test_nothing_changed_is_nothing_read(machines: Machines) -> None:
    name = machines.make(cbt=True)
    known, _ = backed_up(machines, name)
    with since(machines, name, known) as view, disk_of(view).open() as source:
        assert {each.kind for each in source.extents()} == {ExtentKind.UNCHANGED}


def test_a_thin_disk_is_not_read_where_it_is_empty(machines: Machines) -> None:
    name = machines.make(cbt=True)
    with machines.disks.view(name, {}) as view, disk_of(view).open() as source:
        data = sum(each.length for each in source.extents() if each.kind is ExtentKind.DATA)
        assert data <= SIZE // 2
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)


def test_a_void_record_leads_to_a_full_read(machines: Machines) -> None:
    name = machines.make(cbt=True)
    known, _ = backed_up(machines, name)
    machines.lab.write(name, 0, [{"offset": 5, "length": 5, "seed": "new"}])
    machines.lab.reset_cbt(name)
    with since(machines, name, known) as view:
        disk = disk_of(view)
        assert not disk.incremental
        assert "of no use" in disk.reason
        assert any(DISK in each for each in view.warnings)
        assert content_of(disk) == machines.lab.content(name, 0)
        assert tokens(view)  # the next one is incremental again


def test_empty_pages_are_passed(machines: Machines) -> None:
    name = machines.make(cbt=True)
    known, before = backed_up(machines, name)
    machines.lab.write(name, 0, [{"offset": 6 * MIB, "length": 512, "seed": "tail"}])
    machines.lab.fault("empty_page", vm=name, times=4)
    with since(machines, name, known) as view:
        assert disk_of(view).incremental
        assert content_of(disk_of(view), before) == machines.lab.content(name, 0)


def test_pages_without_length_lead_to_a_full_read(machines: Machines) -> None:
    name = machines.make(cbt=True)
    known, _ = backed_up(machines, name)
    machines.lab.write(name, 0, [{"offset": 6 * MIB, "length": 512, "seed": "tail"}])
    machines.lab.fault("zero_page", vm=name, times=8)
    with since(machines, name, known) as view:
        assert not disk_of(view).incremental
        assert "says nothing" in disk_of(view).reason
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)


def test_wrong_pages_are_not_trusted(machines: Machines) -> None:
    name = machines.make(cbt=True)
    known, _ = backed_up(machines, name)
    machines.lab.write(
        name, 0, [{"offset": at * MIB, "length": 512, "seed": f"{at}"} for at in range(7)]
    )
    machines.lab.fault("wrong_page", vm=name, times=8)
    with since(machines, name, known) as view:
        assert not disk_of(view).incremental, disk_of(view).reason
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)


def test_tokens_of_others_are_not_believed(machines: Machines) -> None:
    first, second = machines.make(cbt=True), machines.make(cbt=True)
    known, _ = backed_up(machines, first)
    with since(machines, second, known) as view:
        assert not disk_of(view).incremental
        assert "replaced" in disk_of(view).reason


def test_a_running_machine_streams_and_says_so(machines: Machines) -> None:
    name = machines.make(cbt=True, running=True)
    known, _ = backed_up(machines, name)
    assert known
    machines.lab.write(name, 0, [{"offset": 0, "length": 512, "seed": "new"}])
    with since(machines, name, known) as view:
        disk = disk_of(view)
        assert not disk.incremental
        assert "only what differs is stored" in disk.reason
        assert "403" in disk.reason
        assert read_all(view)[DISK] == machines.lab.content(name, 0)
        view.confirm()
    machines.settled(name)


def test_what_was_streamed_goes_on_by_ranges(machines: Machines) -> None:
    name = machines.make(cbt=True, running=True)
    known, before = backed_up(machines, name)
    machines.lab.write(name, 0, [{"offset": 2 * MIB, "length": 512, "seed": "new"}])
    machines.connection.task(machines.connection.vm(name).PowerOffVM_Task, "stop it")
    with since(machines, name, known) as view:
        assert disk_of(view).incremental, disk_of(view).reason
        assert content_of(disk_of(view), before) == machines.lab.content(name, 0)
