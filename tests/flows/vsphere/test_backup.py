"""Machines of a vCenter are backed up, incrementally where it knows what changed, and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hypersdk import Repository
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.vsphere.driver import VsphereHypervisor, connect
from hypersdk.flows import attempts
from hypersdk.flows.backup import backup_instance
from hypersdk.flows.provision import ProvisionOptions, restore_instance
from hypersdk.flows.restore import restore
from hypersdk.flows.verify import verify
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.points import PointDisk, RestorePoint
from tests.flows.examples import repository_at
from tests.vsphere.lab import VsphereLab

MIB = 1 << 20
SIZE = 24 * MIB
#: Bytes of a disk of which a stream is read and stored in part before it is cut: neighbouring areas
#: are joined up to 16 MiB, several times.
LARGE = 96 * MIB


@pytest.fixture
def hypervisor(vsphere_lab: VsphereLab) -> Iterator[VsphereHypervisor]:
    made = connect(vsphere_lab.url)
    yield made
    made.close()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with repository_at(tmp_path) as made:
        yield made


@pytest.fixture
def machine(vsphere_lab: VsphereLab) -> Iterator[str]:
    """A stopped machine whose changes are recorded, with something on its disks."""
    name = f"web-{uuid4().hex[:8]}"
    vsphere_lab.add_vm(
        name=name,
        cbt=True,
        firmware="efi",
        disks=[{"size": SIZE, "thin": True}, {"size": MIB, "thin": True}],
    )
    vsphere_lab.write(name, 0, [{"offset": MIB, "length": 5 * MIB, "seed": "base"}])
    vsphere_lab.write(name, 1, [{"offset": 0, "length": 5000, "seed": "small"}])
    yield name
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm(name)


def disk(point: RestorePoint, name: str = "scsi0-0") -> PointDisk:
    return next(each for each in point.disks if each.name == name)


def settled(lab: VsphereLab, name: str) -> bool:
    state = lab.state()
    return not [each for each in [*state["leases"], *state["snapshots"]] if each["vm"] == name]


def same(
    lab: VsphereLab, repository: Repository, point: RestorePoint, name: str, folder: Path
) -> None:
    """A point restores to what the lab's disk holds."""
    target = folder / f"{uuid4().hex}.raw"
    restore(repository, point, target, disk="scsi0-0")
    assert target.read_bytes() == lab.content(name, 0)
    target.unlink()


def test_backup_change_incremental_verify_restore(
    vsphere_lab: VsphereLab,
    hypervisor: VsphereHypervisor,
    repository: Repository,
    machine: str,
    tmp_path: Path,
) -> None:
    first = backup_instance(repository, hypervisor, machine)
    assert not disk(first).incremental
    same(vsphere_lab, repository, first, machine, tmp_path)

    vsphere_lab.write(
        machine,
        0,
        [
            {"offset": 9 * MIB, "length": 4096, "seed": "new"},
            {"offset": 2 * MIB, "length": MIB, "zero": True},
        ],
    )
    second = backup_instance(repository, hypervisor, machine)
    assert disk(second).incremental, disk(second).reason
    assert disk(second).statistics.read < 4 * MIB
    assert not second.warnings
    same(vsphere_lab, repository, second, machine, tmp_path)
    assert verify(repository).ok

    placement = Placement(name=f"{machine}-back")
    restored = restore_instance(
        repository, second, hypervisor, options=ProvisionOptions(placement=placement)
    )
    assert restored.instance.name == f"{machine}-back"
    assert vsphere_lab.content(f"{machine}-back", 0) == vsphere_lab.content(machine, 0)
    assert vsphere_lab.content(f"{machine}-back", 1) == vsphere_lab.content(machine, 1)
    hypervisor.provisioning.discard(f"{machine}-back", ())
    assert settled(vsphere_lab, machine)


def test_a_running_machine_stores_only_what_differs(
    vsphere_lab: VsphereLab,
    hypervisor: VsphereHypervisor,
    repository: Repository,
    machine: str,
    tmp_path: Path,
) -> None:
    hypervisor.lifecycle.start(machine)
    first = backup_instance(repository, hypervisor, machine)
    vsphere_lab.write(machine, 0, [{"offset": 9 * MIB, "length": 4096, "seed": "new"}])
    second = backup_instance(repository, hypervisor, machine)
    assert not disk(second).incremental
    assert "only what differs is stored" in disk(second).reason
    assert disk(second).statistics.stored < disk(first).statistics.stored / 4
    same(vsphere_lab, repository, second, machine, tmp_path)
    hypervisor.lifecycle.stop(machine, force=True)
    vsphere_lab.write(machine, 0, [{"offset": 11 * MIB, "length": 4096, "seed": "newer"}])
    third = backup_instance(repository, hypervisor, machine)
    assert disk(third).incremental, disk(third).reason
    same(vsphere_lab, repository, third, machine, tmp_path)
    assert settled(vsphere_lab, machine)


def test_a_void_record_is_read_in_full_and_stored_by_difference(
    vsphere_lab: VsphereLab,
    hypervisor: VsphereHypervisor,
    repository: Repository,
    machine: str,
    tmp_path: Path,
) -> None:
    backup_instance(repository, hypervisor, machine)
    vsphere_lab.write(machine, 0, [{"offset": 9 * MIB, "length": 4096, "seed": "new"}])
    vsphere_lab.reset_cbt(machine)
    point = backup_instance(repository, hypervisor, machine)
    assert not disk(point).incremental
    assert "of no use" in disk(point).reason
    assert any("scsi0-0" in warning for warning in point.warnings)
    assert disk(point).statistics.stored <= MIB
    same(vsphere_lab, repository, point, machine, tmp_path)
    assert disk(backup_instance(repository, hypervisor, machine)).incremental


def test_a_record_that_leaves_out_changes_is_found_out(
    vsphere_lab: VsphereLab,
    hypervisor: VsphereHypervisor,
    repository: Repository,
    machine: str,
    tmp_path: Path,
) -> None:
    backup_instance(repository, hypervisor, machine)
    vsphere_lab.write(machine, 0, [{"offset": MIB, "length": 20 * MIB, "seed": "all"}])
    vsphere_lab.fault("lying_areas", vm=machine, times=20)
    point = backup_instance(repository, hypervisor, machine)
    assert not disk(point).incremental
    assert any("lied" in each or "wrong" in each or "empty" in each for each in point.warnings)
    same(vsphere_lab, repository, point, machine, tmp_path)


@pytest.fixture
def noisy(vsphere_lab: VsphereLab) -> Iterator[str]:
    """A running machine, thus streamed, whose disk cannot be packed."""
    name = f"noisy-{uuid4().hex[:8]}"
    vsphere_lab.add_vm(name=name, disks=[{"size": LARGE, "thin": True}], running=True)
    vsphere_lab.write(name, 0, [{"offset": 0, "length": LARGE, "seed": "noise"}])
    yield name
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm(name)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("drop_stream", {"at": 72 * MIB}, "the stream was cut after"),
        ("drop_stream", {"at": 72 * MIB, "times": 2}, "the stream was cut after"),
        ("lease_expiry", {"seconds": 1.6}, "the lease timed out"),
    ],
)
def test_a_stream_that_breaks_is_read_again_and_nothing_is_stored_twice(
    vsphere_lab: VsphereLab,
    hypervisor: VsphereHypervisor,
    repository: Repository,
    noisy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    fields: dict[str, object],
    said: str,
) -> None:
    monkeypatch.setattr(attempts, "_PAUSES", (0.05, 0.05))
    times = int(str(fields.get("times", 1)))
    tasks: list[str] = []
    if kind == "lease_expiry":  # slow enough to be under way when it ends
        vsphere_lab.fault("slow_host", vm=noisy, at=48 * MIB)
    vsphere_lab.fault(kind, vm=noisy, **fields)
    point = backup_instance(
        repository, hypervisor, noisy, reporter=lambda now: tasks.append(now.task)
    )
    vsphere_lab.clear_faults()
    assert len(point.warnings) == times
    for warning in point.warnings:
        assert f"{noisy}/scsi0-0 was read again from its beginning" in warning
        assert said in warning
        assert "cannot be taken up in the middle" in warning
    task = f"{noisy}/scsi0-0"
    again = [f"{task} (read again, {number} of 3)" for number in range(2, times + 2)]
    assert list(dict.fromkeys(tasks)) == [task, *again]
    same(vsphere_lab, repository, point, noisy, tmp_path)
    # Noise neither packs nor repeats: anything stored a second time would show here.
    assert disk(point).statistics.stored < LARGE * 1.01
    assert LARGE + 8 * MIB < disk(point).statistics.read < (times + 1) * LARGE
    assert stored_in(tmp_path) < LARGE * 1.02
    assert settled(vsphere_lab, noisy)


def stored_in(folder: Path) -> int:
    """Bytes of all packs."""
    packs = folder / "repository" / ".hypersdk" / "packs"
    return sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())


def test_a_stream_that_always_breaks_is_given_up_and_what_it_brought_is_used(
    vsphere_lab: VsphereLab,
    hypervisor: VsphereHypervisor,
    repository: Repository,
    noisy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "_PAUSES", (0.05, 0.05))
    vsphere_lab.fault("drop_stream", vm=noisy, at=72 * MIB, times=3)
    with pytest.raises(HyperSDKError, match="could not be read") as raised:
        backup_instance(repository, hypervisor, noisy)
    assert raised.value.retryable
    assert raised.value.hint
    assert repository.latest(noisy) is None
    point = backup_instance(repository, hypervisor, noisy)
    assert disk(point).statistics.stored < LARGE - 8 * MIB
    same(vsphere_lab, repository, point, noisy, tmp_path)
