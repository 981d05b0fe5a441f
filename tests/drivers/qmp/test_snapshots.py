"""Internal and external snapshots with real content."""

from __future__ import annotations

import pytest

from hypersdk.drivers.qmp.definition import from_plain
from hypersdk.model.errors import InvalidState, NotFound, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.qmp.conftest import Place

_RAW = (DiskSpec(name="vda", size=8 * MIB, format="raw"), DiskSpec(name="vdb", size=MIB))


def write(place: Place, letter: bytes) -> None:
    place.guest.write("web", 0, letter * 4096)


def holds(place: Place, letter: bytes) -> bool:
    return place.guest.read("web", 0, 4096) == letter * 4096


def files(place: Place) -> set[str]:
    return {path.name for path in (place.run_folder().parent / "disks").iterdir()}


def test_memory_and_devices_come_back_as_they_were(place: Place) -> None:
    place.running(
        vcpus=1, vcpus_maximum=3, memory_maximum=192 * MIB, nics=(NicSpec(),), cdrom=__file__
    )
    hotplug = place.driver.hotplug
    hotplug.set_vcpus("web", 2)
    hotplug.set_memory("web", 128 * MIB)
    hotplug.attach_disk("web", DiskSpec(name="vdb", size=MIB))
    write(place, b"a")
    place.driver.snapshots.create("web", "then", memory=True)
    write(place, b"b")
    hotplug.attach_disk("web", DiskSpec(name="vdc", size=MIB))
    hotplug.set_vcpus("web", 3)
    place.driver.snapshots.revert("web", "then")
    found = place.driver.inventory.instance("web")
    assert (found.state, found.vcpus, found.memory) == (InstanceState.RUNNING, 2, 128 * MIB)
    assert [disk.name for disk in found.disks] == ["vda", "vdb"]
    assert holds(place, b"a")


def test_a_paused_one_comes_back_paused(place: Place) -> None:
    place.create()
    place.driver.lifecycle.start("web", paused=True)
    place.driver.snapshots.create("web", "1", memory=True)
    place.driver.lifecycle.stop("web", force=True)
    place.driver.snapshots.revert("web", "1")
    assert place.driver.inventory.instance("web").state is InstanceState.PAUSED


def test_a_record_of_changes_does_not_keep_memory_from_being_loaded(place: Place) -> None:
    place.running()
    place.driver.snapshots.create("web", "then", memory=True)
    with place.driver.disks.view("web", {}) as view:
        view.keep_checkpoints()
    place.driver.snapshots.revert("web", "then")
    assert place.driver.inventory.instance("web").state is InstanceState.RUNNING


def test_raw_disks_get_overlays_that_are_reverted_and_deleted(place: Place) -> None:
    place.running(disks=_RAW)
    write(place, b"a")
    made = place.driver.snapshots.create("web", "first")
    assert dict(made.disks) == {"vda": "external", "vdb": "external"}
    write(place, b"b")
    place.driver.snapshots.create("web", "second")
    write(place, b"c")
    place.driver.snapshots.delete("web", "first")  # in the middle, while it runs
    assert holds(place, b"c")
    place.driver.snapshots.revert("web", "second")
    assert holds(place, b"b")
    place.driver.lifecycle.start("web")
    write(place, b"d")
    place.driver.snapshots.delete("web", "second")  # what the guest writes to, while it runs
    assert holds(place, b"d")
    assert files(place) == {"vda.raw", "vdb.qcow2"}
    place.driver.lifecycle.stop("web", force=True)
    assert holds(place, b"d")


def test_overlays_of_a_stopped_one(place: Place) -> None:
    place.create(disks=_RAW)
    write(place, b"a")
    place.driver.snapshots.create("web", "first")
    write(place, b"b")
    place.driver.snapshots.create("web", "second")
    place.driver.snapshots.delete("web", "first", children=True)
    assert holds(place, b"b")
    assert files(place) == {"vda.raw", "vdb.qcow2"}


def test_a_snapshot_from_which_two_lines_branch_off_stays(place: Place) -> None:
    place.create(disks=_RAW)
    place.driver.snapshots.create("web", "root")
    place.driver.snapshots.create("web", "one")
    place.driver.snapshots.revert("web", "root")
    place.driver.snapshots.create("web", "two")
    with pytest.raises(InvalidState, match="branch off"):
        place.driver.snapshots.delete("web", "root")
    place.driver.snapshots.delete("web", "one")
    place.driver.snapshots.delete("web", "root")
    assert [kept.name for kept in place.driver.snapshots.snapshots("web")] == ["two"]


def test_deleting_with_disks_kept_keeps_what_they_lie_over(place: Place) -> None:
    made = place.create(disks=_RAW)
    write(place, b"a")
    place.driver.snapshots.create("web", "first")
    place.driver.lifecycle.delete("web")
    kept = {path.name for path in (place.root / "kept" / made.id).iterdir()}
    assert {"vda.raw", "vdb.qcow2", "vda.first.qcow2"} <= kept


def test_what_cannot_be_kept_is_refused(place: Place) -> None:
    place.create(disks=_RAW)
    with pytest.raises(InvalidState, match="stopped"):
        place.driver.snapshots.create("web", "m", memory=True)
    place.driver.lifecycle.start("web")
    with pytest.raises(InvalidState, match="qcow2"):
        place.driver.snapshots.create("web", "m", memory=True)
    with pytest.raises(NotSupported):
        place.driver.snapshots.create("web", "q", quiesce=True)
    with pytest.raises(NotFound, match="no snapshot 'x'"):
        place.driver.snapshots.revert("web", "x")


def test_a_name_that_qemu_cannot_have_is_kept_all_the_same(place: Place) -> None:
    place.create()
    write(place, b"a")
    place.driver.snapshots.create("web", "vor dem Update / 1", description="before")
    write(place, b"b")
    place.driver.snapshots.revert("web", "vor dem Update / 1")
    assert holds(place, b"a")
    kept = place.backend.definition("web")[1]["snapshots"][0]
    assert from_plain(kept["machine"]).name == "web"
