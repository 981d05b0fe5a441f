from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.datapath import pipeline
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.observed import ObservedSink
from hypersdk.datapath.sparse import BLOCK, Sparse
from hypersdk.observe.progress import Counters
from tests.datapath.suite import CONTENT, SinkSuite


class TestSparse(SinkSuite):
    @pytest.fixture
    def sink(self) -> Iterator[Sparse]:
        with Sparse(MemorySink(len(CONTENT))) as sink:
            yield sink

    @pytest.fixture
    def read_back(self, sink: Sparse) -> Callable[[], bytes]:
        assert isinstance(sink.inner, MemorySink)
        inner = sink.inner
        return lambda: inner.content

    def test_a_coarse_sink_gets_whole_granules(self) -> None:
        memory = MemorySink(4 * BLOCK, granularity=2 * BLOCK)
        Sparse(memory).write(0, memoryview(bytes(BLOCK) + b"x" * BLOCK))
        assert memory.content[BLOCK:] == b"x" * BLOCK + bytes(2 * BLOCK)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 100, BLOCK - 1]), st.booleans()), max_size=5),
    st.integers(0, BLOCK),
)
def test_only_blocks_with_data_are_written(marks: list[tuple[int, bool]], tail: int) -> None:
    """Each mark is a block: where its only byte is, and whether it has one."""
    content = b"".join(
        bytes(at) + bytes([filled]) + bytes(BLOCK - at - 1) for at, filled in marks
    ) + bytes(tail)
    counters, memory = Counters(), MemorySink(len(content))
    source = MemorySource(content)
    pipeline.copy(source, Sparse(ObservedSink(memory, counters)), request_size=3 * BLOCK // 2)
    assert memory.content == content
    assert counters.amounts.stored <= BLOCK * sum(filled for _, filled in marks)
