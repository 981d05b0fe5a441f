"""Pages of changed areas: all are read, in whatever pieces they come, and no lie in form passes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.drivers.vsphere.changedareas import (
    Areas,
    AreasUntrustedError,
    changed_areas,
    extents,
)
from hypersdk.model.extents import Extent, ExtentKind

CAPACITY = 1000


def page(start: int, length: int, *areas: tuple[int, int]) -> Any:
    changed = [SimpleNamespace(start=at, length=count) for at, count in areas]
    return SimpleNamespace(startOffset=start, length=length, changedArea=changed)


def pages(*found: Any) -> Callable[[int], Any]:
    """Answers by their start; the end of the disk is never asked for."""
    by_start = {each.startOffset: each for each in found}

    def query(start: int) -> Any:
        assert start < CAPACITY
        return by_start[start]

    return query


def runs(areas: Areas) -> list[tuple[int, int]]:
    return [(start, end) for start, end, inside in areas.runs(0, areas.size) if inside]


def test_an_empty_page_is_no_end() -> None:
    query = pages(page(0, 400, (10, 5)), page(400, 300), page(700, 300, (990, 10)))
    assert runs(changed_areas(query, CAPACITY, "a disk")) == [(10, 15), (990, 1000)]


def test_pages_go_on_where_the_last_one_ended() -> None:
    query = pages(*(page(at, 100, (at, 50)) for at in range(0, CAPACITY, 100)))
    assert changed_areas(query, CAPACITY, "a disk").total == 500


def test_what_lies_behind_the_disk_is_cut() -> None:
    query = pages(page(0, 1024, (960, 64)))
    assert runs(changed_areas(query, CAPACITY, "a disk")) == [(960, 1000)]


@pytest.mark.parametrize(
    "answer",
    [
        page(0, 0),
        page(5, 100),
        page(0, 1000, (10, 5), (12, 5)),
        page(0, 1000, (50, 5), (10, 5)),
        page(0, 100, (90, 20)),
        page(0, 100, (10, 0)),
        page(0, 100, (-1, 5)),
    ],
)
def test_contradictions_are_not_trusted(answer: Any) -> None:
    with pytest.raises(AreasUntrustedError):
        changed_areas(lambda _: answer, CAPACITY, "a disk")


@given(st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 300)), max_size=12))
def test_areas_are_those_that_were_given(given_areas: list[tuple[int, int]]) -> None:
    areas = Areas(given_areas, CAPACITY)
    wanted = {at for start, length in given_areas for at in range(start, start + length)}
    found = [(start, end, inside) for start, end, inside in areas.runs(0, CAPACITY)]
    assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found[:-1])]
    inside = {at for start, end, yes in found if yes for at in range(start, end)}
    assert inside == {at for at in wanted if at < CAPACITY}
    assert areas.total == len(inside)


def test_what_changed_and_is_not_allocated_is_zero() -> None:
    changed, allocated = Areas([(100, 200)], CAPACITY), Areas([(0, 150)], CAPACITY)
    assert list(extents(0, 400, changed=changed, allocated=allocated)) == [
        Extent(0, 100, ExtentKind.UNCHANGED),
        Extent(100, 50, ExtentKind.DATA),
        Extent(150, 150, ExtentKind.ZERO),
        Extent(300, 100, ExtentKind.UNCHANGED),
    ]
    assert list(extents(90, 90, changed=changed, allocated=None)) == []
    assert list(extents(0, 9, changed=None, allocated=None)) == [Extent(0, 9, ExtentKind.DATA)]
