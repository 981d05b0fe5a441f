"""What is made, what is refused, and what is left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import CloudInit, DiskSpec, NicSpec, PortSpec
from hypersdk.model.units import GIB, MIB
from tests.drivers.qmp.conftest import Place


def tree(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if "hypervisor." not in path.name}


def test_what_is_made_is_what_was_asked_for(place: Place) -> None:
    base = place.folder / "base.qcow2"
    place.create("maker", disks=(DiskSpec(size=8 * MIB, path=str(base)),))
    made = place.create(
        vcpus=2,
        disks=(
            DiskSpec(size=MIB),
            DiskSpec(base=str(base)),
            DiskSpec(size=MIB, bus="scsi", format="raw"),
        ),
        nics=(NicSpec(mac="52:54:00:01:02:03"), NicSpec(model="e1000e")),
        tags={"who": "me"},
        folder="prod/web",
    )
    assert [(disk.name, disk.size, disk.format) for disk in made.disks] == [
        ("vda", MIB, "qcow2"),
        ("vdb", 8 * MIB, "qcow2"),
        ("sda", MIB, "raw"),
    ]
    assert (made.owned, made.folder, dict(made.tags)) == (True, "prod/web", {"who": "me"})
    place.driver.lifecycle.start("web")
    with place.monitor() as monitor:
        assert len(monitor.ask("query-cpus-fast")) == 2
        assert monitor.ask("query-uuid")["UUID"] == made.id
    again = QmpHypervisor(place.root)
    assert again.inventory.instance(made.id).disks == made.disks
    again.close()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"cpu_weight": 5}, NotSupported),
        ({"cpu_limit": 0.5}, NotSupported),
        ({"cloud_init": CloudInit(user="me")}, NotSupported),
        ({"ports": (PortSpec(host=80, inside=80),)}, NotSupported),
        ({"image": "debian:12"}, InvalidInput),
        ({"firmware": "uefi"}, InvalidInput),
        ({"acceleration": "xen"}, InvalidInput),
        ({"kernel": "/nonexistent"}, NotFound),
        ({"kernel_arguments": "quiet"}, InvalidInput),
        ({"nics": (NicSpec(network="lan"),)}, InvalidInput),
        ({"nics": (NicSpec(mac="53:00:00:00:00:01"),)}, InvalidInput),
        ({"nics": (NicSpec(model="ne2000"),)}, InvalidInput),
        ({"disks": (DiskSpec(name="cdrom", size=MIB),)}, InvalidInput),
        ({"disks": (DiskSpec(size=MIB, bus="floppy"),)}, InvalidInput),
        ({"disks": (DiskSpec(size=MIB, format="vmdk"),)}, InvalidInput),
        ({"disks": (DiskSpec(),)}, InvalidInput),
        ({"disks": (DiskSpec(path="relative.qcow2", size=MIB),)}, InvalidInput),
        ({"disks": (DiskSpec(size=MIB), DiskSpec(base="/nonexistent"))}, NotFound),
        ({"vcpus": 4096}, LimitExceeded),
    ],
)
def test_what_cannot_be_honoured_is_refused_and_leaves_nothing(
    place: Place, changes: dict[str, Any], kind: type[HyperSDKError]
) -> None:
    with pytest.raises(kind) as caught:
        place.create(**changes)
    assert caught.value.hint
    assert tree(place.root) == set()


def test_a_failed_create_takes_back_disks_elsewhere_and_no_others(place: Place) -> None:
    there = place.folder / "there.qcow2"
    place.create("owner", disks=(DiskSpec(size=MIB, path=str(there)),))
    made = place.folder / "made.qcow2"
    with pytest.raises(NotFound):
        place.create(
            disks=(
                DiskSpec(path=str(there)),
                DiskSpec(size=MIB, path=str(made)),
                DiskSpec(base="/nonexistent"),
            )
        )
    assert there.exists()
    assert not made.exists()


def test_names_conflict_but_differ_in_all_else(place: Place) -> None:
    place.create("a/b")
    place.create("a-b")
    with pytest.raises(AlreadyExists):
        place.create("a/b")
    for bad in ("x" * 256, "new\nline"):
        with pytest.raises(InvalidInput):
            place.create(bad)
    names = [instance.name for instance in place.driver.inventory.instances()]
    assert names == ["a-b", "a/b"]


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file may grow beyond 1 MiB: what a full disk does to a raw image."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_for_a_disk_is_a_limit_and_leaves_nothing(place: Place, little_room: None) -> None:
    with pytest.raises(LimitExceeded):
        place.create(disks=(DiskSpec(size=GIB, format="raw"),))
    assert tree(place.root) == set()


def test_disks_that_stay_are_kept_and_those_that_go_are_gone(place: Place) -> None:
    outside = place.folder / "outside.qcow2"
    disks = (DiskSpec(size=MIB), DiskSpec(size=MIB, path=str(outside)))
    made = place.create(disks=disks)
    place.driver.lifecycle.delete("web")
    assert outside.exists()
    assert (place.root / "kept" / made.id / "vda.qcow2").exists()
    place.create(disks=(DiskSpec(size=MIB), DiskSpec(path=str(outside))))
    place.create("other", disks=(DiskSpec(path=str(outside)),))
    place.driver.lifecycle.delete("web", disks=True)
    assert outside.exists(), "another instance uses it"
    place.driver.lifecycle.delete("other", disks=True)
    assert not outside.exists()


def test_a_guest_that_does_not_obey_runs_on_after_the_timeout(place: Place) -> None:
    place.running()
    with pytest.raises(OperationTimeout, match="still runs"):
        place.driver.lifecycle.stop("web", timeout=0.3)
    assert place.driver.inventory.instance("web").state is InstanceState.RUNNING
    place.driver.lifecycle.pause("web")
    with pytest.raises(InvalidState, match="paused"):
        place.driver.lifecycle.stop("web")
    with pytest.raises(InvalidState, match="paused"):
        place.driver.lifecycle.delete("web")


def test_kvm_where_it_does_not_boot_is_refused_at_the_start(place: Place) -> None:
    if place.driver.host.info().acceleration == "kvm":
        place.create(acceleration="kvm")
        place.driver.lifecycle.start("web")
        assert place.driver.inventory.instance("web").state is InstanceState.RUNNING
        return
    place.create(acceleration="kvm")
    with pytest.raises(NotSupported, match="asks for KVM"):
        place.driver.lifecycle.start("web")
    assert place.pids() == []
    place.create("either", acceleration="")
    place.driver.lifecycle.start("either")
    assert os.path.exists(place.run_folder("either") / "pid")
