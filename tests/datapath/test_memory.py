from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.model.errors import DataPathError, InvalidInput
from hypersdk.model.extents import Extent, ExtentKind
from tests.datapath.suite import CONTENT, MIB, SinkSuite, SourceSuite


class TestMemorySource(SourceSuite):
    @pytest.fixture
    def source(self) -> Iterator[MemorySource]:
        extents = [
            Extent(0, MIB, ExtentKind.DATA),
            Extent(MIB, MIB, ExtentKind.ZERO),
            Extent(2 * MIB, len(CONTENT) - 2 * MIB, ExtentKind.DATA),
        ]
        with MemorySource(CONTENT, extents) as source:
            yield source


class TestMemorySink(SinkSuite):
    @pytest.fixture
    def sink(self) -> Iterator[MemorySink]:
        with MemorySink(self.SIZE) as sink:
            yield sink

    @pytest.fixture
    def read_back(self, sink: MemorySink) -> Callable[[], bytes]:
        return lambda: sink.content


class TestMemorySinkOfGranules(TestMemorySink):
    @pytest.fixture
    def sink(self) -> Iterator[MemorySink]:
        with MemorySink(self.SIZE, 4096) as sink:
            yield sink


def test_extents_with_a_gap_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected 2"):
        MemorySource(b"abcd", [Extent(0, 2, ExtentKind.DATA), Extent(3, 1, ExtentKind.DATA)])


def test_extents_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="4 bytes"):
        MemorySource(b"abcd", [Extent(0, 2, ExtentKind.DATA)])


def test_sink_refuses_parts_of_granules() -> None:
    sink = MemorySink(10, granularity=4)
    sink.write(8, memoryview(b"ab"))
    sink.zero(4, 6)
    with pytest.raises(DataPathError, match="does not keep to 4"):
        sink.write(0, memoryview(b"ab"))
    with pytest.raises(DataPathError, match="does not keep to 4"):
        sink.zero(2, 2)
