"""The hypervisor as a whole: limits, identity, and many instances in many hands at once."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hypersdk.drivers.mock.config import Config, Limits
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    LimitExceeded,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import GIB, MIB


def limited(path: Path, **limits: int) -> MockHypervisor:
    return MockHypervisor(path, config=Config(limits=Limits(**limits)))


def test_no_more_instances_than_there_is_room_for(tmp_path: Path) -> None:
    mock = limited(tmp_path, instances=2)
    for name in ("one", "two"):
        mock.lifecycle.create(InstanceSpec(name=name))
    with pytest.raises(LimitExceeded, match="2 instances"):
        mock.lifecycle.create(InstanceSpec(name="three"))
    with pytest.raises(AlreadyExists):
        mock.lifecycle.create(InstanceSpec(name="two"))
    mock.lifecycle.delete("one")
    mock.lifecycle.create(InstanceSpec(name="three"))


@pytest.mark.parametrize(
    "spec",
    [
        InstanceSpec(name="big", vcpus=5),
        InstanceSpec(name="big", vcpus_maximum=5),
        InstanceSpec(name="big", memory=3 * GIB),
        InstanceSpec(name="big", memory_maximum=3 * GIB),
        InstanceSpec(name="big", disks=(DiskSpec(size=MIB), DiskSpec(size=1))),
    ],
)
def test_no_instance_larger_than_any_may_be(tmp_path: Path, spec: InstanceSpec) -> None:
    mock = limited(tmp_path, vcpus=4, memory=2 * GIB, total_disk=MIB)
    with pytest.raises(LimitExceeded):
        mock.lifecycle.create(spec)
    assert list(mock.inventory.instances()) == []
    assert not list(tmp_path.glob(".new-*"))


def test_memory_is_used_by_what_runs(tmp_path: Path) -> None:
    mock = limited(tmp_path, total_memory=2 * GIB)
    for name in ("one", "two", "three"):
        mock.lifecycle.create(InstanceSpec(name=name, memory=GIB))
    mock.lifecycle.start("one")
    mock.lifecycle.start("two", paused=True)
    with pytest.raises(LimitExceeded, match="Stop other instances"):
        mock.lifecycle.start("three")
    assert mock.inventory.instance("three").state is InstanceState.STOPPED
    mock.lifecycle.stop("one")
    mock.lifecycle.start("three")


def test_of_many_that_start_at_once_only_as_many_run_as_have_room(tmp_path: Path) -> None:
    mock = limited(tmp_path, total_memory=3 * GIB)
    names = [f"vm{number}" for number in range(20)]
    for name in names:
        mock.lifecycle.create(InstanceSpec(name=name, memory=GIB))

    def start(name: str) -> bool:
        try:
            mock.lifecycle.start(name)
        except LimitExceeded:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(start, names)) == 3


def test_a_disk_that_no_file_can_hold_leaves_nothing(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    with pytest.raises(HypervisorError):
        mock.lifecycle.create(InstanceSpec(name="huge", disks=(DiskSpec(size=1 << 62),)))
    assert list(mock.inventory.instances()) == []
    assert not list(tmp_path.glob(".new-*"))


def test_an_id_is_found_also_after_others_came_and_went(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    one = mock.create_instance("one", {})
    assert mock.inventory.instance(one.id) == one
    mock.lifecycle.delete("one")
    with pytest.raises(InstanceNotFound):
        mock.inventory.instance(one.id)
    again = mock.create_instance("one", {})
    assert mock.inventory.instance(again.id) == again
    with pytest.raises(InstanceNotFound):
        mock.inventory.instance(one.id)


def test_a_lost_connection_is_told_once(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    mock.create_instance("one", {})
    for call in (
        lambda: list(mock.inventory.instances()),
        lambda: mock.lifecycle.start("one"),
        lambda: mock.lifecycle.create(InstanceSpec(name="two")),
        mock.host.info,
    ):
        mock.disconnect()
        with pytest.raises(HypervisorUnreachable):
            call()
        call()


def test_instances_of_the_first_format_are_understood(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    mock.create_instance("old", {"vda": MIB})
    folder = mock._root.find("old").path
    (folder / "definition.json").write_text(
        '{"format": 1, "id": "x", "name": "old", "vcpus": 1, "memory": 5, "tags": {},'
        ' "disks": [{"name": "vda", "id": "d", "size": 1048576}]}'
    )
    (folder / "state.json").write_text('{"state": "running"}')
    (next((folder / "disks").iterdir())).rename(folder / "disks" / "d.raw")
    for name in ("counters", "serial", "snapshots"):
        (folder / name).rmdir()
    assert mock.inventory.instance("old").state is InstanceState.RUNNING
    with mock.guest("old", "vda") as guest:
        guest.write(0, b"x")
    with mock.console.serial("old") as line:
        line.write(b"x")
    mock.snapshots.create("old", "one")
    mock.hotplug.attach_disk("old", DiskSpec(size=MIB))
    assert mock.metrics.metrics(["old"])[0].disks[0].write_bytes == 1


def test_a_thousand_instances_and_two_hundred_operations_at_once(tmp_path: Path) -> None:
    """No update is lost, and looking at one stays quick. The bounds are for slow machines."""
    mock = MockHypervisor(tmp_path)
    names = [f"vm{number:04}" for number in range(1000)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: mock.lifecycle.create(InstanceSpec(name=name)), names))
    other = MockHypervisor(tmp_path)
    done = threading.Event()
    looks: list[float] = []

    def look() -> None:
        while not done.is_set():
            began = time.perf_counter()
            other.inventory.instance("vm0500")
            looks.append(time.perf_counter() - began)
            time.sleep(0.002)

    def work(number: int) -> None:
        for name in names[number * 5 : number * 5 + 5]:
            mock.lifecycle.start(name)
        mock.lifecycle.pause(name)
        mock.hotplug.attach_disk("vm0000", DiskSpec(name=f"disk-{name}", size=0))

    watcher = threading.Thread(target=look)
    watcher.start()
    with ThreadPoolExecutor(200) as pool:
        list(pool.map(work, range(200)))
    done.set()
    watcher.join()
    began = time.perf_counter()
    found = list(other.inventory.instances())
    listing = time.perf_counter() - began
    states = [each.state for each in found]
    assert states.count(InstanceState.RUNNING) == 800
    assert states.count(InstanceState.PAUSED) == 200
    assert len(found[0].disks) == 200
    looks.sort()
    assert looks[int(len(looks) * 0.99)] < 0.25
    assert listing < 2


def test_one_name_has_one_winner_also_with_failures_between(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)

    def race(number: int) -> bool:
        try:
            mock.lifecycle.create(InstanceSpec(name=f"vm{number % 5}"))
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(30) as pool:
        assert sum(pool.map(race, range(60))) == 5
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_errors_of_ours_have_hints(tmp_path: Path) -> None:
    with pytest.raises(HyperSDKError) as caught:
        MockHypervisor(tmp_path).inventory.instance("nobody")
    assert caught.value.hint == "There are: none."
