from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.snapshots import Kept, MockSnapshots
from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    HypervisorError,
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot
from hypersdk.model.specs import DiskSpec, InstanceSpec
from tests.drivers.mock.lab import GRANULE, MIB, content, kept, kinds


def write(mock: MockHypervisor, offset: int, data: bytes, disk: str = "vda") -> None:
    with mock.guest("web", disk) as guest:
        guest.write(offset, data)


def read(mock: MockHypervisor, offset: int, length: int, disk: str = "vda") -> bytes:
    with mock.guest("web", disk) as guest:
        return guest.read(offset, length)


def tree(mock: MockHypervisor) -> list[tuple[str, str, bool]]:
    return [(each.name, each.parent, each.current) for each in mock.snapshots.snapshots("web")]


def test_reverting_brings_back_disks_and_definition(mock: MockHypervisor) -> None:
    write(mock, 0, b"before")
    made = mock.snapshots.create("web", "one", description="clean")
    write(mock, 0, b"after!")
    write(mock, 3 * MIB, b"new")
    mock.lifecycle.stop("web")
    mock.hotplug.attach_disk("web", DiskSpec(name="vdb", size=MIB))
    mock.snapshots.revert("web", "one")
    assert read(mock, 0, 6) == b"before"
    assert read(mock, 3 * MIB, 3) == bytes(3)
    web = mock.inventory.instance("web")
    assert [disk.name for disk in web.disks] == ["vda"]
    assert [each.name for each in mock.snapshots.snapshots("web")] == ["one"]
    assert (made.description, made.state, made.memory) == ("clean", InstanceState.RUNNING, False)


@pytest.mark.parametrize("state", [InstanceState.RUNNING, InstanceState.PAUSED])
def test_with_memory_it_goes_on_where_it_was(mock: MockHypervisor, state: InstanceState) -> None:
    if state is InstanceState.PAUSED:
        mock.lifecycle.pause("web")
    mock.snapshots.create("web", "one", memory=True)
    mock.lifecycle.stop("web", force=True)
    mock.snapshots.revert("web", "one")
    assert mock.inventory.instance("web").state is state


def test_without_memory_it_is_stopped_afterwards(mock: MockHypervisor) -> None:
    mock.snapshots.create("web", "one")
    mock.snapshots.revert("web", "one")
    assert mock.inventory.instance("web").state is InstanceState.STOPPED


def test_snapshots_are_a_tree(mock: MockHypervisor) -> None:
    for name in ("one", "two", "three"):
        mock.snapshots.create("web", name)
    mock.snapshots.revert("web", "one")
    mock.snapshots.create("web", "other")
    assert sorted(tree(mock)) == [
        ("one", "", False),
        ("other", "one", True),
        ("three", "two", False),
        ("two", "one", False),
    ]
    mock.snapshots.delete("web", "two")
    assert sorted(tree(mock)) == [
        ("one", "", False),
        ("other", "one", True),
        ("three", "one", False),
    ]
    mock.snapshots.delete("web", "one", children=True)
    assert tree(mock) == []
    mock.snapshots.create("web", "root")
    assert tree(mock) == [("root", "", True)]


def test_deleting_gives_the_room_back_and_keeps_what_follows(mock: MockHypervisor) -> None:
    write(mock, 0, b"x" * MIB)
    mock.snapshots.create("web", "one")
    write(mock, 0, b"y" * MIB)
    mock.snapshots.create("web", "two")
    mock.snapshots.delete("web", "one")
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    assert len(list((folder / "snapshots").rglob("*.raw"))) == 1
    write(mock, 0, b"z" * MIB)
    mock.snapshots.revert("web", "two")
    assert read(mock, 0, MIB) == b"y" * MIB


def test_copies_are_sparse(mock: MockHypervisor) -> None:
    mock.create_instance("big", {"vda": 1 << 40})
    mock.snapshots.create("big", "one")
    folder = Path(mock.inventory.instance("big").disks[0].path).parents[1]
    (copy,) = (folder / "snapshots").rglob("*.raw")
    assert copy.stat().st_size == 1 << 40
    assert copy.stat().st_blocks * 512 < MIB


def test_the_next_backup_after_a_revert_knows_exactly_what_changed(mock: MockHypervisor) -> None:
    write(mock, GRANULE, b"kept")
    mock.snapshots.create("web", "one")
    write(mock, 3 * GRANULE, b"undone")
    with mock.guest("web", "vda") as guest:
        guest.zero(GRANULE, GRANULE)
    since = kept(mock)
    with mock.disks.view("web", {}) as view, view.disks[0].open() as source:
        parent = content(source)
    mock.snapshots.revert("web", "one")
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert view.disks[0].incremental
        assert [kind[0] for kind in kinds(source, 0, 5 * GRANULE)] == [".", "D", ".", "Z", "."]
        assert content(source, parent)[GRANULE : GRANULE + 4] == b"kept"


def test_a_view_stays_at_its_moment_through_a_revert(mock: MockHypervisor) -> None:
    mock.snapshots.create("web", "one")
    write(mock, 0, b"later")
    with mock.disks.view("web", {}) as view, view.disks[0].open() as source:
        mock.snapshots.revert("web", "one")
        assert content(source)[:5] == b"later"
    assert read(mock, 0, 5) == bytes(5)


def test_a_resized_disk_gets_its_old_size_back(mock: MockHypervisor) -> None:
    write(mock, 4 * MIB - 4, b"tail")
    mock.snapshots.create("web", "one")
    since = kept(mock)
    for size in (MIB, 6 * MIB):
        with mock.guest("web", "vda") as guest:
            guest.resize(size)
        mock.snapshots.revert("web", "one")
        disk = mock.inventory.instance("web").disks[0]
        assert disk.size == Path(disk.path).stat().st_size == 4 * MIB
        assert read(mock, 4 * MIB - 4, 4) == b"tail"
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert content(source, bytes(4 * MIB))[-4:] == b"tail"


def test_a_disk_unplugged_since_comes_back_and_is_read_in_full(mock: MockHypervisor) -> None:
    mock.hotplug.attach_disk("web", DiskSpec(name="vdb", size=MIB))
    write(mock, 0, b"second", "vdb")
    mock.snapshots.create("web", "one")
    since = kept(mock)
    mock.hotplug.detach_disk("web", "vdb")
    with mock.disks.view("web", {}), pytest.raises(InvalidState, match="backup"):
        mock.snapshots.revert("web", "one")
    mock.snapshots.revert("web", "one")
    assert read(mock, 0, 6, "vdb") == b"second"
    with mock.disks.view("web", since) as view:
        assert [disk.incremental for disk in view.disks] == [True, False]


@pytest.mark.parametrize(
    ("memory", "quiesce", "error"),
    [(True, False, InvalidState), (False, True, InvalidState), (True, True, InvalidInput)],
)
def test_a_stopped_instance_has_nothing_running_to_keep(
    mock: MockHypervisor, memory: bool, quiesce: bool, error: type[Exception]
) -> None:
    mock.lifecycle.stop("web")
    with pytest.raises(error):
        mock.snapshots.create("web", "one", memory=memory, quiesce=quiesce)
    assert tree(mock) == []


def test_quiescing_needs_an_agent_and_thaws(mock: MockHypervisor) -> None:
    with pytest.raises(GuestAgentMissing):
        mock.snapshots.create("web", "one", quiesce=True)
    helped = MockHypervisor(mock._path, config=Config(guest_agent=True))
    assert isinstance(helped.snapshots.create("web", "one", quiesce=True), Snapshot)
    write(mock, 0, b"thawed")


def test_names_are_taken_once_and_must_exist(mock: MockHypervisor) -> None:
    mock.snapshots.create("web", "a/b ü")
    with pytest.raises(AlreadyExists):
        mock.snapshots.create("web", "a/b ü")
    with pytest.raises(InvalidInput):
        mock.snapshots.create("web", "")
    for verb in ("revert", "delete"):
        with pytest.raises(NotFound, match="a/b ü"):
            getattr(mock.snapshots, verb)("web", "nothing")


def test_a_cancelled_snapshot_leaves_nothing(mock: MockHypervisor) -> None:
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        mock.snapshots.create("web", "one")
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    assert not list((folder / "snapshots").iterdir())


def test_a_damaged_snapshot_is_named(mock: MockHypervisor) -> None:
    mock.snapshots.create("web", "one")
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    (path,) = (folder / "snapshots").glob("*/snapshot.json")
    path.write_text("{}")
    with pytest.raises(HypervisorError, match=r"snapshot\.json is damaged"):
        mock.snapshots.snapshots("web")


def test_they_go_with_their_instance(mock: MockHypervisor) -> None:
    mock.snapshots.create("web", "one")
    mock.lifecycle.stop("web")
    mock.lifecycle.delete("web", disks=True)
    assert not list(mock._path.rglob("*.raw"))
    mock.lifecycle.create(InstanceSpec(name="web"))
    assert tree(mock) == []


def test_disks_of_a_revert_that_was_killed_are_not_used_until_it_is_done_again(
    mock: MockHypervisor,
) -> None:
    write(mock, 0, b"before")
    mock.snapshots.create("web", "one")
    write(mock, 0, b"after!")
    mock.lifecycle.stop("web")

    class Killed(MockSnapshots):
        def restore_disks(self, folder: InstanceFolder, kept: Kept) -> None:
            raise SystemExit

    with pytest.raises(SystemExit):
        Killed(mock._root).revert("web", "one")
    for call in (lambda: mock.lifecycle.start("web"), lambda: mock.disks.view("web", {})):
        with pytest.raises(InvalidState, match="cut off"):
            call()
    mock.snapshots.revert("web", "one")
    mock.lifecycle.start("web")
    assert read(mock, 0, 6) == b"before"
