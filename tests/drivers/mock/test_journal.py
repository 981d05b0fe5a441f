from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.drivers.mock import journal
from hypersdk.drivers.mock.journal import Follower, Recorded, RunSet, granules, split_bytes

RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 8)).map(lambda r: (r[0], sum(r))))


@given(RUNS, st.integers(0, 80), st.integers(0, 80))
def test_a_run_set_is_a_set_of_numbers(runs: list[tuple[int, int]], low: int, high: int) -> None:
    model = {number for start, end in runs for number in range(start, end)}
    added = RunSet()
    for start, end in runs:
        added.add(start, end)
    for built in (added, RunSet(runs)):
        assert {n for start, end in built for n in range(start, end)} == model
        ends = [bound for run in built for bound in run]
        assert ends == sorted(set(ends))
        position = low
        for start, end, inside in built.split(low, high):
            assert start == position < end
            position = end
            assert all((number in model) is inside for number in range(start, end))
        assert position == max(low, high) or low >= high


def test_bytes_are_rounded_outwards_and_pieces_clipped() -> None:
    assert granules(65535, 2) == (0, 2)
    assert granules(65536, 65536) == (1, 2)
    assert list(split_bytes(RunSet([(1, 2)]), 10, 140_000)) == [
        (10, 65536, False),
        (65536, 131072, True),
        (131072, 140_000, False),
    ]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "vda.journal"
    journal.create(path, 1 << 40)
    return path


def test_what_is_appended_is_read(record: Path) -> None:
    assert journal.append(record, [(1, 2)]) == 1
    assert journal.append(record, [(5, 6), (1, 9)]) == 3
    assert journal.read(record) == Recorded(1 << 40, [(1, 2), (5, 6), (1, 9)])


@pytest.mark.parametrize("size", [0, 5, 28, 30, 48, 67])
def test_a_truncated_file_is_noticed_also_between_entries(record: Path, size: int) -> None:
    journal.append(record, [(1, 2), (3, 4)])
    assert record.stat().st_size == 68
    record.write_bytes(record.read_bytes()[:size])
    assert "truncated" in str(journal.read(record))
    journal.append(record, [(7, 8)])
    assert isinstance(journal.read(record), str), "a later entry must not hide the damage"


@pytest.mark.parametrize("position", range(68))
def test_each_flipped_bit_is_noticed(record: Path, position: int) -> None:
    journal.append(record, [(1, 2), (3, 4)])
    content = bytearray(record.read_bytes())
    content[position] ^= 0x10
    record.write_bytes(content)
    assert "damaged" in str(journal.read(record))
    journal.append(record, [(7, 8)])
    assert isinstance(journal.read(record), str)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "nothing") == "is missing"


def test_an_entry_of_a_killed_writer_is_kept(record: Path) -> None:
    """It wrote the entry but not the new count."""
    before = record.read_bytes()[:28]
    journal.append(record, [(1, 2)])
    record.write_bytes(before + record.read_bytes()[28:])
    journal.append(record, [(3, 4)])
    assert journal.read(record) == Recorded(1 << 40, [(1, 2), (3, 4)])


def test_a_follower_sees_what_is_added(record: Path) -> None:
    follower = Follower(record)
    try:
        assert list(follower.refresh()) == []
        journal.append(record, [(1, 2)])
        assert list(follower.refresh()) == [(1, 2)]
        journal.append(record, [(2, 4), (9, 10)])
        assert list(follower.refresh()) == [(1, 4), (9, 10)]
    finally:
        follower.close()


def test_a_guest_that_rewrites_one_block_does_not_fill_the_record(record: Path) -> None:
    count = journal.append(record, [(7, 8)] * ((1 << 16) - 1))
    count = journal.append(record, [(9, 10)])
    assert count == 1 << 16
    journal.merge(record, count)
    assert journal.read(record) == Recorded(1 << 40, [(7, 8), (9, 10)])


def test_a_record_of_scattered_changes_is_not_rewritten(record: Path) -> None:
    count = journal.append(record, [(2 * n, 2 * n + 1) for n in range(1 << 16)])
    inode = record.stat().st_ino
    journal.merge(record, count)
    assert record.stat().st_ino == inode
