from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hypersdk.datapath.areas import aligned, clipped, joined
from hypersdk.model.extents import Extent, ExtentKind

D, Z, U = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.UNCHANGED


def chain(*parts: tuple[int, ExtentKind]) -> list[Extent]:
    extents, at = [], 0
    for length, kind in parts:
        extents.append(Extent(at, length, kind))
        at += length
    return extents


chains = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(list(ExtentKind)))).map(
    lambda parts: chain(*parts)
)


def test_joined_merges_neighbours_and_drops_empty_ones() -> None:
    assert list(joined(chain((3, D), (0, Z), (2, D), (1, Z)))) == chain((5, D), (1, Z))


def test_clipped_cuts_at_both_ends() -> None:
    assert list(clipped(chain((3, D), (3, Z), (3, D)), 1, 7)) == [
        Extent(1, 2, D),
        Extent(3, 3, Z),
        Extent(6, 1, D),
    ]


def test_mixed_granules_are_data() -> None:
    # granules of 4: [Z Z Z U] [U U U U] [U U Z Z] [D]
    found = list(aligned(chain((3, Z), (7, U), (2, Z), (1, D)), 4, 13))
    assert found == [Extent(0, 4, D), Extent(4, 4, U), Extent(8, 5, D)]


@given(chains, st.integers(1, 20))
def test_alignment_changes_only_mixed_granules(extents: list[Extent], granularity: int) -> None:
    size = extents[-1].end if extents else 0
    kinds = [extent.kind for extent in extents for _ in range(extent.length)]
    expected = []
    for start in range(0, size, granularity):
        granule = kinds[start : start + granularity]
        kind = granule[0] if len(set(granule)) == 1 else D
        expected += [kind] * len(granule)
    found = list(aligned(extents, granularity, size))
    assert [extent.kind for extent in found for _ in range(extent.length)] == expected
    assert all(extent.start % granularity == 0 for extent in found)
    assert all(a.kind is not b.kind and a.end == b.start for a, b in itertools.pairwise(found))
