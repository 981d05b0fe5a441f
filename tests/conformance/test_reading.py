"""Disks read as a backup would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hypersdk.conformance import expect
from hypersdk.conformance.reading import copied, extents, kinds, pattern, read, restored, same
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.model.extents import Extent, ExtentKind

DATA, ZERO, UNCHANGED = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.UNCHANGED


def source() -> MemorySource:
    """Four bytes each of data, zero (whatever it holds), unchanged, data."""
    parts = [Extent(0, 4, DATA), Extent(4, 4, ZERO), Extent(8, 4, UNCHANGED), Extent(12, 4, DATA)]
    return MemorySource(b"aaaabbbbccccdddd", parts)


class Wrong(MemorySource):
    """A source that says of itself what the test wants."""

    def __init__(self, said: list[Extent]) -> None:
        super().__init__(bytes(16))
        self._said = said

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        return iter(self._said)


def test_a_restore_takes_what_is_unchanged_from_before() -> None:
    assert restored(source(), 0, 16, b"x" * 16) == b"aaaa" + bytes(4) + b"xxxx" + b"dddd"
    assert restored(source(), 2, 8, b"x" * 8) == b"aa" + bytes(4) + b"xx"
    assert restored(source(), 0, 16)[8:12] == bytes(4)


def test_kinds_of_an_area() -> None:
    assert kinds(source(), 0, 8) == {DATA, ZERO}
    assert kinds(source(), 8, 4) == {UNCHANGED}


def test_read_is_the_bytes() -> None:
    assert read(source(), 3, 6) == b"abbbbc"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([Extent(0, 8, DATA)], "where the last extent ends"),
        ([Extent(0, 8, DATA), Extent(9, 7, DATA)], "where the extent behind 8 begins"),
        ([Extent(0, 8, DATA), Extent(7, 9, DATA)], "where the extent behind 8 begins"),
        ([Extent(0, 0, DATA), Extent(0, 16, DATA)], "the extent at 0 has 0 bytes"),
        ([Extent(0, 17, DATA)], "where the last extent ends"),
    ],
)
def test_gaps_and_overlaps_are_noticed(said: list[Extent], problem: str) -> None:
    with pytest.raises(expect.Unmet, match=problem):
        extents(Wrong(said))


def test_same_says_where_it_differs() -> None:
    same(b"abc", b"abc", "the disk")
    with pytest.raises(expect.Unmet, match="the disk: the first wrong byte is at 1: 78"):
        same(b"axc", b"abc", "the disk")
    with pytest.raises(expect.Unmet, match="2 bytes instead of 3"):
        same(b"ab", b"abc", "the disk")


def test_patterns_differ_and_have_no_zeroes() -> None:
    assert len(pattern("one", 1000)) == 1000
    assert pattern("one", 64) != pattern("two", 64)
    assert 0 not in pattern("one", 100_000)


def test_a_copy_holds_what_the_source_says() -> None:
    sink = MemorySink(16, initial=b"x" * 16)
    parts = [Extent(0, 4, DATA), Extent(4, 12, ZERO)]
    copied(MemorySource(b"aaaabbbbccccdddd", parts), sink)
    assert sink.content == b"aaaa" + bytes(12)
