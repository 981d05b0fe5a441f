"""Machines are read as they were at one moment, by whatever route, and nothing is left behind."""

from __future__ import annotations

import threading

import pytest

from hypersdk.datapath.streamvmdk import StreamVmdkSource
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.model.errors import HypervisorError, InvalidState, NotFound, NotSupported
from hypersdk.model.instances import Consistency, Purpose
from tests.drivers.vsphere.reading import DISK, Machines, content_of, disk_of, machines, read_all

__all__ = ["machines"]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("cbt", [False, True])
def test_all_disks_come_out(machines: Machines, running: bool, cbt: bool) -> None:
    name = machines.make(disks=2, running=running, cbt=cbt)
    with machines.disks.view(name, {}) as view:
        found = read_all(view)
        view.confirm()
        leases, snapshots = machines.state(name)
        assert len(snapshots) == int(running or cbt)
        assert not leases  # completed
    assert found == {f"scsi0-{number}": machines.lab.content(name, number) for number in range(2)}
    machines.settled(name)


def test_a_view_stays_at_its_moment(machines: Machines) -> None:
    name = machines.make(running=True)
    before = machines.lab.content(name, 0)
    with machines.disks.view(name, {}) as view:
        machines.lab.write(name, 0, [{"offset": 0, "length": 100_000, "seed": "later"}])
        assert content_of(disk_of(view)) == before
    assert machines.lab.content(name, 0) != before


def test_disks_stream_at_the_same_time(machines: Machines) -> None:
    name = machines.make(disks=3, running=True)
    with machines.disks.view(name, {}) as view:
        sources = [disk.open() for disk in view.disks]
        assert all(isinstance(source, StreamVmdkSource) for source in sources)
        assert len(machines.state(name)[0]) == 1  # one lease for all
        found: dict[int, bytes] = {}
        together = [
            threading.Thread(target=lambda n=n: found.update({n: content_of(view.disks[n])}))
            for n in range(3)
        ]
        for source in sources:
            source.close()
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
        view.confirm()
    assert [found[n] for n in range(3)] == [machines.lab.content(name, n) for n in range(3)]
    machines.settled(name)


def test_consistency_is_what_was_reached(machines: Machines) -> None:
    frozen, thawed, bare = (
        machines.make(running=True, tools=True),
        machines.make(running=True, tools=True),
        machines.make(running=True, tools=False),
    )
    with machines.disks.view(frozen, {}) as view:
        assert view.consistency is Consistency.FILESYSTEM
    with machines.disks.view(thawed, {}, ViewOptions(freeze=False)) as view:
        assert view.consistency is Consistency.CRASH
    with machines.disks.view(bare, {}) as view:
        assert view.consistency is Consistency.CRASH


def test_a_guest_that_cannot_be_frozen_is_read_all_the_same(machines: Machines) -> None:
    name = machines.make(running=True)
    machines.lab.fault(
        "soap_fault", vm=name, method="CreateSnapshot_Task", fault="ApplicationQuiesceFault"
    )
    with machines.disks.view(name, {}) as view:
        assert view.consistency is Consistency.CRASH
        assert any("not frozen" in each for each in view.warnings)
        assert len(machines.state(name)[1]) == 1
    machines.settled(name)


def test_uefi_variables_are_kept(machines: Machines) -> None:
    name = machines.make(firmware="efi")
    with machines.disks.view(name, {}) as view:
        nvram = next(disk for disk in view.disks if disk.disk.purpose is Purpose.NVRAM)
        with nvram.open() as source:
            assert source.size == nvram.disk.size > 0
        assert view.definition is not None
        assert b"scsi0-0.vmdk" in view.definition.content


def test_disks_are_left_out_or_named(machines: Machines) -> None:
    name = machines.make(disks=2, running=True)
    with machines.disks.view(name, {}, ViewOptions(exclude=frozenset({DISK}))) as view:
        assert list(read_all(view)) == ["scsi0-1"]
    with pytest.raises(NotFound, match="no disk sda"):
        machines.disks.view(name, {}, ViewOptions(exclude=frozenset({"sda"})))
    machines.settled(name)


def test_what_no_snapshot_holds_is_refused_before_one_is_made(machines: Machines) -> None:
    name = machines.make(running=True)
    other = machines.make_with([{"size": 1 << 20, "mode": "independent_persistent"}], running=True)
    with pytest.raises(HypervisorError, match=f"disk {DISK} of '{other}'.*independent") as raised:
        machines.disks.view(other, {})
    assert "--exclude" in raised.value.hint
    machines.settled(other)
    machines.settled(name)


def test_one_backup_at_a_time(machines: Machines) -> None:
    name = machines.make(running=True)
    with machines.disks.view(name, {}) as view:
        with pytest.raises(InvalidState, match="under way"):
            machines.disks.view(name, {})
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)
    machines.settled(name)


def test_a_stopped_machine_that_runs_meanwhile_is_not_confirmed(machines: Machines) -> None:
    name = machines.make()
    vm = machines.connection.vm(name)
    with machines.by("range").view(name, {}) as view:
        read_all(view)
        machines.connection.task(vm.PowerOnVM_Task, "start it")
        with pytest.raises(InvalidState, match="stand still"):
            view.confirm()
    assert machines.connection.get(vm, "runtime.powerState")["runtime.powerState"] == "poweredOn"


def test_a_snapshot_that_goes_is_not_confirmed(machines: Machines) -> None:
    name = machines.make(running=True)
    vm = machines.connection.vm(name)
    with machines.disks.view(name, {}) as view:
        machines.connection.task(vm.RemoveAllSnapshots_Task, "remove it")
        with pytest.raises(InvalidState, match="was removed while it was read"):
            view.confirm()
    machines.settled(name)


def test_an_existing_snapshot_is_read_and_stays(machines: Machines) -> None:
    name = machines.make(running=True)
    vm = machines.connection.vm(name)
    machines.connection.task(lambda: vm.CreateSnapshot_Task("mine", "", False, False), "take it")
    before = machines.lab.content(name, 0)
    machines.lab.write(name, 0, [{"offset": 0, "length": 4096, "seed": "later"}])
    with machines.disks.snapshot_view(name, "mine") as view:
        assert content_of(disk_of(view)) == before
        view.confirm()
    assert [each["name"] for each in machines.state(name)[1]] == ["mine"]
    with pytest.raises(NotFound, match="no snapshot 'other'") as raised:
        machines.disks.snapshot_view(name, "other")
    assert "mine" in raised.value.hint


def test_disks_are_not_written_in_place(machines: Machines) -> None:
    name = machines.make()
    with pytest.raises(NotSupported):
        machines.disks.rewrite(name)


def test_a_template_is_read_without_a_snapshot(machines: Machines) -> None:
    name = machines.make(template=True, cbt=True)
    with machines.disks.view(name, {}) as view:
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)
        assert not machines.state(name)[1]
        view.confirm()
    machines.settled(name)
