from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.datapath import pipeline
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.observed import Observed, ObservedSink
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.observe.progress import Amounts, Counters

D, Z, U = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.UNCHANGED


def test_counts_each_kind() -> None:
    extents = [Extent(0, 100, D), Extent(100, 200, Z), Extent(300, 400, U)]
    counters = Counters()
    source = Observed(MemorySource(bytes(700), extents), counters)
    pipeline.copy(source, ObservedSink(MemorySink(700), counters))
    assert counters.amounts == Amounts(read=100, stored=100, zero=200, unchanged=400)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.sampled_from([D, Z, U])), min_size=1, max_size=9),
    st.integers(1, 64),
)
def test_each_byte_counts_once(parts: list[tuple[int, ExtentKind]], granularity: int) -> None:
    extents: list[Extent] = []
    for length, kind in parts:
        extents.append(Extent(extents[-1].end if extents else 0, length, kind))
    size, counters = extents[-1].end, Counters()
    source = Observed(MemorySource(bytes(size), extents), counters, granularity)
    pipeline.copy(source, MemorySink(size, granularity))
    assert counters.amounts.done == size


def test_clones_share_the_counters() -> None:
    counters = Counters()
    source = Observed(MemorySource(bytes(10)), counters)
    for handle in (source, source.clone()):
        handle.readinto(0, memoryview(bytearray(10)))
    assert counters.amounts.read == pytest.approx(20)
