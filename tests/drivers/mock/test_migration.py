from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.config import Config, Limits
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    InvalidState,
    LimitExceeded,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.progress import Progress
from tests.drivers.mock.lab import GRANULE, MIB, kept


@pytest.fixture
def other(tmp_path: Path) -> MockHypervisor:
    found = MockHypervisor(tmp_path / "other")
    found.create_instance("resident", {})
    return found


def stays(mock: MockHypervisor, other: MockHypervisor) -> None:
    """It runs on where it was, and nothing is left of the attempt."""
    assert mock.inventory.instance("web").state is InstanceState.RUNNING
    assert [each.name for each in other.inventory.instances()] == ["resident"]
    assert not list(other._path.glob(".new-*"))
    assert not list(mock._root.find("web").path.glob("views/*"))
    assert mock.checkpoints.checkpoints("web") == []


@pytest.mark.parametrize("state", [InstanceState.RUNNING, InstanceState.PAUSED])
def test_it_goes_on_over_there_and_is_gone_here(
    mock: MockHypervisor, other: MockHypervisor, state: InstanceState
) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"content")
        guest.write(3 * MIB, b"x" * GRANULE)
        guest.zero(3 * MIB, GRANULE)
    since = kept(mock)
    if state is InstanceState.PAUSED:
        mock.lifecycle.pause("web")
    before = mock.inventory.instance("web")
    seen: list[Progress] = []
    mock.live_migration.migrate("web", other.url, copy_disks=True, reporter=seen.append)
    moved = other.inventory.instance("web")
    assert (moved.id, moved.state) == (before.id, state)
    with pytest.raises(InstanceNotFound):
        mock.inventory.instance("web")
    assert not list(mock._path.rglob("*.raw"))
    with other.guest("web", "vda") as guest:
        assert guest.read(0, 7) == b"content"
        assert guest.read(3 * MIB, GRANULE) == bytes(GRANULE)
    assert (seen[-1].done, seen[-1].finished) == (4 * MIB, True)
    with other.disks.view("web", since) as view:
        assert not view.disks[0].incremental


def test_what_the_guest_writes_meanwhile_goes_along(
    mock: MockHypervisor, other: MockHypervisor
) -> None:
    """The clock stands for the network: while it is waited for, the guest writes on."""
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"a" * (2 * MIB))

        class Slow(FakeClock):
            def sleep(self, seconds: float, *, stubborn: bool = False) -> None:
                guest.write(0, b"early")
                guest.write(3 * MIB, b"late")
                guest.zero(MIB, GRANULE)

        slow = MockHypervisor(mock._path, clock=Slow())
        slow.live_migration.migrate("web", other.url, copy_disks=True, bandwidth=MIB)
    with other.guest("web", "vda") as moved:
        assert moved.read(0, 6) == b"earlya"
        assert moved.read(3 * MIB, 4) == b"late"
        assert moved.read(MIB, GRANULE) == bytes(GRANULE)


def test_bandwidth_is_kept_by_the_clock(mock: MockHypervisor, other: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"a" * (2 * MIB))
    clock = FakeClock()
    timed = MockHypervisor(mock._path, clock=clock)
    timed.live_migration.migrate("web", other.url, copy_disks=True, bandwidth=MIB // 4)
    assert sum(clock.sleeps) == 8


def test_cancelled_it_runs_on_where_it_was(mock: MockHypervisor, other: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"a" * MIB)
    token = CancelToken()
    waiting = MockHypervisor(mock._path, clock=FakeClock(waiting=True))
    threading.Timer(0.05, token.cancel).start()
    with token.scope(), pytest.raises(Interrupted):
        waiting.live_migration.migrate("web", other.url, copy_disks=True, bandwidth=1)
    stays(mock, other)


def test_a_change_meanwhile_ends_it(mock: MockHypervisor, other: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"a")

    class Meddling(FakeClock):
        def sleep(self, seconds: float, *, stubborn: bool = False) -> None:
            mock.lifecycle.stop("web")

    meddled = MockHypervisor(mock._path, clock=Meddling())
    with pytest.raises(InvalidState, match="while it migrated"):
        meddled.live_migration.migrate("web", other.url, copy_disks=True, bandwidth=1)
    mock.lifecycle.start("web")
    stays(mock, other)


def test_what_cannot_be_moved_is_refused(
    mock: MockHypervisor, other: MockHypervisor, tmp_path: Path
) -> None:
    migrate = mock.live_migration.migrate
    full = f"{other.url}?instances=1"
    small = MockHypervisor(
        tmp_path / "small", config=Config(limits=Limits(total_memory=1))
    )  # it exists, and has no room
    small._path.mkdir()
    for destination, copy, error in (
        (other.url, False, InvalidState),
        (mock.url, True, InvalidInput),
        ("libvirt:///x", True, InvalidInput),
        (f"mock://{tmp_path}/nowhere", True, HypervisorUnreachable),
        (full, True, LimitExceeded),
        (f"mock://{small._path}?total_memory=1", True, LimitExceeded),
    ):
        with pytest.raises(error):
            migrate("web", destination, copy_disks=copy)
    with pytest.raises(InvalidInput):
        migrate("web", other.url, copy_disks=True, bandwidth=0)
    stays(mock, other)
    mock.snapshots.create("web", "one")
    with pytest.raises(InvalidState, match="snapshots"):
        migrate("web", other.url, copy_disks=True)
    mock.snapshots.delete("web", "one")
    stays(mock, other)
    mock.lifecycle.stop("web")
    with pytest.raises(InvalidState, match="stopped"):
        migrate("web", other.url, copy_disks=True)


def test_a_destination_without_memory_leaves_it_running_here(
    mock: MockHypervisor, other: MockHypervisor
) -> None:
    other.lifecycle.start("resident")
    with pytest.raises(LimitExceeded, match="memory"):
        mock.live_migration.migrate("web", f"{other.url}?total_memory=1GiB", copy_disks=True)
    stays(mock, other)


def test_a_taken_name_or_identity_over_there_is_refused(
    mock: MockHypervisor, other: MockHypervisor
) -> None:
    other.create_instance("web", {})
    with pytest.raises(AlreadyExists):
        mock.live_migration.migrate("web", other.url, copy_disks=True)
    other.lifecycle.delete("web")
    mock.live_migration.migrate("web", other.url, copy_disks=True)
    with pytest.raises(HyperSDKError):
        mock.live_migration.migrate("web", other.url, copy_disks=True)
