from __future__ import annotations

from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.diskports import BackupView, ViewOptions
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import DataPathError, InstanceNotFound, NotFound
from hypersdk.model.extents import ExtentKind
from hypersdk.model.instances import Consistency
from tests.drivers.mock.lab import GRANULE, MIB, content, kept, kinds, read, tokens


def chain(mock: MockHypervisor) -> list[Path]:
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    return sorted((folder / "checkpoints").iterdir())


def why_full(mock: MockHypervisor, since: dict[str, str]) -> str:
    """The reason for which ``vda`` is read in full; fails when it is not."""
    with mock.disks.view("web", since) as view:
        assert view.disks[0].incremental is False
        with view.disks[0].open() as source:
            assert "." not in "".join(kinds(source))
        return view.disks[0].reason


def test_a_view_tells_all_about_the_instance(mock: MockHypervisor) -> None:
    view: BackupView
    with mock.disks.view("web", {}) as view:
        assert view.instance == mock.inventory.instance("web")
        assert view.consistency is Consistency.CRASH
        assert view.definition is not None
        assert view.definition.kind == "mock-json"
        assert view.instance.id.encode() in view.definition.content
        assert [disk.disk for disk in view.disks] == list(view.instance.disks)
    mock.lifecycle.stop("web")
    with mock.disks.view("web", {}) as view:
        assert view.consistency is Consistency.OFFLINE


def test_a_missing_instance_is_not_found(mock: MockHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        mock.disks.view("nobody", {})


def test_a_first_backup_reads_data_and_knows_holes(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(2 * GRANULE, b"x" * GRANULE)
    with mock.disks.view("web", {}) as view:
        assert view.disks[0].reason == "no earlier checkpoint was named"
        with view.disks[0].open() as source:
            assert kinds(source, 0, 4 * GRANULE) == ["Z", "Z", "D", "Z"]


def test_an_incremental_view_tells_changed_from_unchanged(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"x" * (4 * GRANULE))
        since = kept(mock)
        guest.write(GRANULE, b"y" * GRANULE)
        guest.zero(2 * GRANULE, GRANULE)
        guest.discard(5 * GRANULE, GRANULE)
    with mock.disks.view("web", since) as view:
        assert view.disks[0].incremental
        assert "journal" in view.disks[0].reason
        with view.disks[0].open() as source:
            assert kinds(source, 0, 7 * GRANULE) == [".", "D", "Z", ".", ".", "Z", "."]
        with view.disks[0].open(full=True) as source:
            assert kinds(source, 0, 7 * GRANULE) == ["D", "D", "Z", "D", "Z", "Z", "Z"]


def test_extents_are_clipped_to_the_range(mock: MockHypervisor) -> None:
    since = kept(mock)
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"x" * (2 * GRANULE))
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        first, second = source.extents(1000, 3 * GRANULE)
        assert (first.start, first.end, first.kind) == (1000, 2 * GRANULE, ExtentKind.DATA)
        assert (second.end, second.kind) == (1000 + 3 * GRANULE, ExtentKind.UNCHANGED)
        assert list(source.extents(77, 0)) == []
        with pytest.raises(DataPathError, match="outside"):
            list(source.extents(0, 5 * MIB))


def test_two_disks_have_one_moment_and_their_own_changes(mock: MockHypervisor) -> None:
    mock.create_instance("two", {"a": MIB, "b": MIB})
    since = kept(mock, "two")
    with mock.guest("two", "b") as guest:
        guest.write(0, b"only b")
    with mock.disks.view("two", since) as view:
        a, b = (disk.open() for disk in view.disks)
        assert kinds(a, 0, GRANULE) == ["."]
        assert kinds(b, 0, GRANULE) == ["DZ"]
        a.close()
        b.close()


def test_the_disk_size_need_not_be_whole_granules(mock: MockHypervisor) -> None:
    mock.create_instance("odd", {"a": 100_001, "none": 0})
    with mock.guest("odd", "a") as guest:
        since = kept(mock, "odd")
        guest.write(100_000, b"!")
    with mock.disks.view("odd", since) as view:
        with view.disks[0].open() as source:
            assert content(source)[-2:] == b"\0!"
        with view.disks[1].open() as source:
            assert list(source.extents()) == []


def test_a_clone_reads_the_same_and_outlives_the_original(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"hello")
    source: BlockSource
    with mock.disks.view("web", {}) as view, view.disks[0].open() as source:
        clone = source.clone()
        assert read(clone, 0, 5) == b"hello"
        assert list(clone.extents()) == list(source.extents())
        source.close()
        assert read(clone, 0, 5) == b"hello"
        clone.close()


def test_reading_outside_or_after_the_view_raises(mock: MockHypervisor) -> None:
    with mock.disks.view("web", {}) as view:
        source = view.disks[0].open()
        with pytest.raises(DataPathError, match="outside"):
            read(source, 4 * MIB - 1, 2)
    with pytest.raises(DataPathError, match="has ended"):
        read(source, 0, 1)
    with pytest.raises(DataPathError, match="has ended"):
        list(source.extents())
    with pytest.raises(DataPathError, match="has ended"):
        view.disks[0].open()
    source.close()


def test_a_file_cut_behind_our_back_is_an_error(mock: MockHypervisor) -> None:
    with mock.disks.view("web", {}) as view, view.disks[0].open() as source:
        with Path(view.disks[0].disk.path).open("r+b") as file:
            file.truncate(MIB)
        with pytest.raises(DataPathError, match="ends at 1048576"):
            read(source, MIB - 5, 10)


def test_a_failed_backup_leaves_the_chain_as_it_was(mock: MockHypervisor) -> None:
    since = kept(mock)
    before = [path.name for path in chain(mock)]
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"before")
        with mock.disks.view("web", since):
            guest.write(GRANULE, b"during")
        guest.write(2 * GRANULE, b"after")
    assert [path.name for path in chain(mock)] == before
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert kinds(source, 0, 4 * GRANULE) == ["DZ", "DZ", "DZ", "."]


def test_a_write_during_the_backup_is_in_the_next_one(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest, mock.disks.view("web", {}) as view:
        guest.write(GRANULE, b"during")
        view.keep_checkpoints()
        since = tokens(view)
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert kinds(source, 0, 3 * GRANULE) == [".", "DZ", "."]


def test_checkpoints_are_bounded_and_the_newest_few_stay_useful(mock: MockHypervisor) -> None:
    history = [kept(mock) for _ in range(7)]
    assert len(chain(mock)) == 4
    for since in history[-4:]:
        with mock.disks.view("web", since) as view:
            assert view.disks[0].incremental
    assert "not known any more" in why_full(mock, history[0])


def test_two_backups_at_once_do_not_disturb_each_other(mock: MockHypervisor) -> None:
    since = kept(mock)
    with mock.guest("web", "vda") as guest:
        with mock.disks.view("web", since) as early:
            guest.write(0, b"between")
            with mock.disks.view("web", since) as late:
                guest.write(GRANULE, b"later")
                late.keep_checkpoints()
            with early.disks[0].open() as source:
                assert read(source, 0, 7) == bytes(7)
                assert kinds(source, 0, GRANULE) == ["."]
        for token, expected in ((since, ["DZ", "DZ", "."]), (tokens(late), [".", "DZ", "."])):
            with mock.disks.view("web", token) as view, view.disks[0].open() as source:
                assert kinds(source, 0, 3 * GRANULE) == expected


def test_useless_tokens_mean_a_full_read_and_say_why(mock: MockHypervisor) -> None:
    since = kept(mock)
    mock.create_instance("other", {"vda": 4 * MIB, "vdb": 4 * MIB})
    other = kept(mock, "other")
    _, instance, disk, checkpoint = since["vda"].split(":")
    assert "not one of this hypervisor" in why_full(mock, {"vda": "libvirt:x"})
    assert "not one of this hypervisor" in why_full(mock, {"vda": ""})
    assert "another instance" in why_full(mock, {"vda": other["vda"]})
    foreign = f"mock:{instance}:{disk[::-1]}:{checkpoint}"
    assert "another disk" in why_full(mock, {"vda": foreign})
    assert "not known" in why_full(mock, {"vda": f"mock:{instance}:{disk}:../../x"})
    assert "no earlier checkpoint" in why_full(mock, {"vdz": since["vda"]})


def test_a_truncated_journal_means_a_full_read(mock: MockHypervisor) -> None:
    since = kept(mock)
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"x")
    (journal,) = chain(mock)[-1].glob("*.journal")
    journal.write_bytes(journal.read_bytes()[:-20])
    assert "is truncated: 0 of 1 entries" in why_full(mock, since)
    assert "is truncated" in why_full(mock, since), "the next backup must not trust it either"


def test_a_lost_journal_in_the_middle_means_a_full_read(mock: MockHypervisor) -> None:
    since = kept(mock)
    kept(mock)
    (journal,) = chain(mock)[-1].glob("*.journal")
    journal.unlink()
    assert "is missing" in why_full(mock, since)


def test_damage_in_a_dropped_checkpoint_is_not_forgotten(mock: MockHypervisor) -> None:
    since = kept(mock)
    with mock.guest("web", "vda") as guest, mock.disks.view("web", since):
        guest.write(0, b"x")
        (journal,) = chain(mock)[-1].glob("*.journal")
        journal.write_bytes(b"")
    assert "is missing" in why_full(mock, since)


def test_a_resized_disk_means_a_full_read(mock: MockHypervisor) -> None:
    since = kept(mock)
    with mock.guest("web", "vda") as guest:
        guest.resize(5 * MIB)
    assert "resized from 4194304 to 5242880 bytes" in why_full(mock, since)


def test_a_disk_shrunk_and_grown_back_lost_what_was_cut(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"x" * (4 * MIB))
        since = kept(mock)
        with mock.disks.view("web", since) as view, view.disks[0].open() as source:
            parent = content(source, b"x" * (4 * MIB))
        guest.resize(MIB + 100)
        guest.resize(4 * MIB)
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert view.disks[0].incremental
        assert content(source, parent) == b"x" * (MIB + 100) + bytes(3 * MIB - 100)


@pytest.mark.parametrize("size", [1 << 36, 1 << 40])
def test_cost_follows_changes_not_size(mock: MockHypervisor, size: int) -> None:
    mock.create_instance("big", {"vda": size})
    since = kept(mock, "big")
    with mock.guest("big", "vda") as guest:
        for number in range(100):
            guest.write(number * (size // 100) // GRANULE * GRANULE, b"x" * GRANULE)
    began = monotonic()
    with mock.disks.view("big", since) as view, view.disks[0].open() as source:
        found = list(source.extents())
        view.keep_checkpoints()
    assert sum(extent.kind is ExtentKind.DATA for extent in found) == 100
    assert len(found) == 200
    assert monotonic() - began < 2


def test_a_huge_zeroed_area_is_one_entry(mock: MockHypervisor) -> None:
    mock.create_instance("big", {"vda": 1 << 40})
    since = kept(mock, "big")
    with mock.guest("big", "vda") as guest, mock.disks.view("big", since) as view:
        guest.zero(0, 1 << 40)
        guest.resize(GRANULE)
        view.keep_checkpoints()
        with view.disks[0].open() as source:
            assert read(source, (1 << 40) - 9, 9) == bytes(9)


SIZE = 6 * GRANULE + 1234
AREA = st.tuples(st.integers(0, SIZE), st.integers(0, 3 * GRANULE))
STEP = st.one_of(
    st.tuples(st.sampled_from(["write", "zero", "discard"]), AREA),
    st.tuples(st.just("resize"), st.tuples(st.integers(0, 2 * SIZE), st.just(0))),
    st.tuples(st.sampled_from(["backup", "failed", "reopen"]), st.just((0, 0))),
)


class Restored:
    """A chain of backups that happens while the guest writes, and what a restore would give."""

    def __init__(self, mock: MockHypervisor, name: str) -> None:
        self.mock = mock
        self.name = name
        self.since: dict[str, str] = {}
        self.parent = b""
        self.guest = mock.guest(name, "vda")
        self.model = bytearray(SIZE)

    def run(self, verb: str, offset: int, length: int) -> None:
        offset = min(offset, len(self.model)) if verb != "resize" else offset
        length = min(length, len(self.model) - offset)
        match verb:
            case "write":
                data = bytes([1 + (offset + length) % 255]) * length
                self.guest.write(offset, data)
                self.model[offset : offset + length] = data
            case "zero" | "discard":
                getattr(self.guest, verb)(offset, length)
                self.model[offset : offset + length] = bytes(length)
            case "resize":
                self.guest.resize(offset)
                self.model = bytearray(bytes(self.model)[:offset].ljust(offset, b"\0"))
            case "reopen":
                self.guest.close()
                self.guest = self.mock.guest(self.name, "vda")
            case _:
                self.back_up(keep=verb == "backup")

    def back_up(self, *, keep: bool) -> None:
        moment = bytes(self.model)
        with self.mock.disks.view(self.name, self.since) as view:
            if moment:  # the guest goes on after the moment
                self.run("write", 0, 100)
                self.run("zero", len(moment) // 2, GRANULE)
            with view.disks[0].open() as source:
                assert content(source, self.parent) == moment
            with view.disks[0].open(full=True) as source:
                assert content(source) == moment
            if keep:
                view.keep_checkpoints()
                self.since, self.parent = tokens(view), moment


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=14))
def test_parent_and_changes_always_give_the_disk(
    steps: list[tuple[str, tuple[int, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    mock = MockHypervisor(tmp_path_factory.mktemp("lab"))
    mock.create_instance("vm", {"vda": SIZE})
    restored = Restored(mock, "vm")
    for verb, (offset, length) in steps:
        restored.run(verb, offset, length)
    restored.run("backup", 0, 0)
    restored.guest.close()


@given(areas=st.lists(st.tuples(st.integers(0, 15), st.integers(1, 4)), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_zeroes_after_data_come_out_as_zero(
    areas: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    mock = MockHypervisor(tmp_path_factory.mktemp("lab"))
    mock.create_instance("vm", {"vda": 20 * GRANULE})
    with mock.guest("vm", "vda") as guest:
        guest.write(0, b"x" * (20 * GRANULE))
        since = kept(mock, "vm")
        for start, count in areas:
            guest.zero(start * GRANULE, count * GRANULE)
    zeroed = {number for start, count in areas for number in range(start, start + count)}
    with mock.disks.view("vm", since) as view, view.disks[0].open() as source:
        assert kinds(source) == ["Z" if n in zeroed else "." for n in range(20)]


def test_an_unknown_disk_to_exclude_is_refused_and_leaves_nothing(mock: MockHypervisor) -> None:
    with pytest.raises(NotFound, match="no disk vdz"):
        mock.disks.view("web", {}, ViewOptions(exclude=frozenset({"vdz"})))
    assert chain(mock) == []
    with mock.disks.view("web", {}, ViewOptions(exclude=frozenset({"vda"}))) as view:
        assert list(view.disks) == []
