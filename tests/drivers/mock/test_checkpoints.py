from __future__ import annotations

import pytest

from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import InvalidState, NotFound
from tests.drivers.mock.lab import GRANULE, MIB, kept, kinds


def names(mock: MockHypervisor) -> list[str]:
    return [each.name for each in mock.checkpoints.checkpoints("web")]


def test_they_are_listed_with_moment_parent_and_disks(mock: MockHypervisor) -> None:
    clock = FakeClock(1_000.0)
    timed = MockHypervisor(mock._path, clock=clock)
    kept(timed)
    clock.advance(60)
    kept(timed)
    first, second = mock.checkpoints.checkpoints("web")
    assert (first.created.timestamp(), second.created.timestamp()) == (1_000, 1_060)
    assert (first.parent, second.parent) == ("", first.name)
    assert first.disks == ("vda",)


def test_deleting_one_passes_on_what_it_recorded(mock: MockHypervisor) -> None:
    since = kept(mock)
    kept(mock)
    with mock.guest("web", "vda") as guest:
        guest.write(GRANULE, b"x")
    first, second = names(mock)
    mock.checkpoints.delete("web", second)
    assert names(mock) == [first]
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert [kind[0] for kind in kinds(source, 0, 3 * GRANULE)] == [".", "D", "."]
    with pytest.raises(NotFound):
        mock.checkpoints.delete("web", second)


def test_bitmaps_are_the_journals(mock: MockHypervisor) -> None:
    kept(mock)
    (disk,) = mock.checkpoints.bitmaps("web")
    (bitmap,) = disk.bitmaps
    assert (disk.disk, disk.virtual_size, disk.problem) == ("vda", 4 * MIB, "")
    assert (bitmap.name, bitmap.granularity, bitmap.consistent) == (names(mock)[0], GRANULE, True)
    (journal,) = mock._root.find("web").path.rglob("*.journal")
    journal.write_bytes(b"damaged")
    assert not mock.checkpoints.bitmaps("web")[0].bitmaps[0].consistent


def test_a_forgotten_one_leaves_its_bitmap(mock: MockHypervisor) -> None:
    kept(mock)
    (name,) = names(mock)
    with pytest.raises(InvalidState, match="still needs"):
        mock.checkpoints.remove_bitmap("web", name)
    mock.checkpoints.forget("web", name)
    assert names(mock) == []
    assert [each.name for each in mock.checkpoints.bitmaps("web")[0].bitmaps] == [name]
    kept(mock)  # the next backup leaves it where it is
    mock.checkpoints.remove_bitmap("web", name)
    with pytest.raises(NotFound):
        mock.checkpoints.remove_bitmap("web", name)
    with pytest.raises(NotFound):
        mock.checkpoints.forget("web", name)
    kept(mock)
    again = names(mock)[-1]
    mock.checkpoints.forget("web", again)
    mock.checkpoints.delete("web", again)
    assert again not in [each.name for each in mock.checkpoints.bitmaps("web")[0].bitmaps]
