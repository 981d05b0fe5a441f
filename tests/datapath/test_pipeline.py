from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.datapath import pipeline
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.pipeline import ZERO_REQUEST, Request, requests
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.wrapping import WrappedSink, WrappedSource
from hypersdk.model.errors import DataPathError, Interrupted
from hypersdk.model.extents import Extent, ExtentKind

D, Z, U = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.UNCHANGED


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class CountedHandles(WrappedSource):
    """A source that knows how many clones are open."""

    def __init__(self, inner: BlockSource) -> None:
        super().__init__(inner)
        self.open: list[int] = []

    def clone(self) -> Self:
        twin = super().clone()
        self.open.append(id(twin))
        return twin

    def close(self) -> None:
        if id(self) in self.open:
            self.open.remove(id(self))
        super().close()


class Failing(WrappedSource):
    """A source whose reads at and behind ``offset`` raise."""

    def __init__(self, inner: BlockSource, offset: int, error: BaseException) -> None:
        super().__init__(inner)
        self._offset = offset
        self._error = error

    def readinto(self, offset: int, buffer: memoryview) -> None:
        if offset >= self._offset:
            raise self._error
        self.inner.readinto(offset, buffer)


class Slow(WrappedSource):
    """A source of which each read takes ``seconds``."""

    def __init__(self, inner: BlockSource, seconds: float) -> None:
        super().__init__(inner)
        self._seconds = seconds

    def readinto(self, offset: int, buffer: memoryview) -> None:
        time.sleep(self._seconds)
        self.inner.readinto(offset, buffer)


parts = st.lists(st.tuples(st.integers(0, 300), st.sampled_from([D, Z, U])), max_size=12)


@settings(deadline=None, max_examples=150)
@given(
    parts,
    st.integers(1, 100),
    st.integers(1, 200),
    st.integers(1, 3),
    st.integers(0, 150),
)
def test_copies_what_differs_and_leaves_the_rest(
    parts: list[tuple[int, ExtentKind]], granularity: int, step: int, workers: int, larger: int
) -> None:
    noise = random.Random(1)
    content, extents = bytearray(), []
    for length, kind in parts:
        extents.append(Extent(len(content), length, kind))
        content += bytes(length) if kind is Z else noise.randbytes(length)
    kinds = [extent.kind for extent in extents for _ in range(extent.length)]
    before = b"\xee" * (len(content) + larger)
    sink = MemorySink(len(before), granularity, initial=before)

    pipeline.copy(MemorySource(content, extents), sink, request_size=step, workers=workers)

    # Whole granules of UNCHANGED keep their marker; all others hold the source, then zeroes up
    # to the end of the granule in which the source ends.
    expected = bytearray(before)
    for start in range(0, len(content), granularity):
        end = min(start + granularity, len(before))
        granule = set(kinds[start:end])
        if end > len(content):
            granule.add(Z)
        if granule != {U}:
            expected[start:end] = content[start:end].ljust(end - start, b"\0")
    assert sink.content == expected


def test_requests_keep_to_the_step_and_join_zeroes() -> None:
    extents = [
        Extent(0, 5, D),
        Extent(5, 3, U),
        Extent(8, 8, Z),
        Extent(16, 4, Z),
        Extent(20, 6, D),
    ]
    assert list(requests(extents, 26, 1, 4)) == [
        Request(0, 4, False),
        Request(4, 1, False),
        Request(8, 12, True),
        Request(20, 4, False),
        Request(24, 2, False),
    ]


def test_huge_zero_areas_are_cut_so_that_a_copy_can_be_cancelled() -> None:
    size = 3 * ZERO_REQUEST + 5
    found = list(requests([Extent(0, size, Z)], size, 1, 4))
    assert [request.length for request in found] == [ZERO_REQUEST] * 3 + [5]


def test_zero_areas_are_not_read() -> None:
    zero = MemorySource(bytes(100), [Extent(0, 100, Z)])
    sink = MemorySink(100, initial=b"x" * 100)
    pipeline.copy(Failing(zero, 0, AssertionError("was read")), sink)
    assert sink.content == bytes(100)


def test_target_smaller_than_the_source_is_refused() -> None:
    with pytest.raises(DataPathError, match="only 9"):
        pipeline.copy(MemorySource(bytes(10)), MemorySink(9))


@pytest.mark.parametrize("error", [DataPathError("bad sector"), ValueError("bug")])
def test_first_error_is_raised_and_everything_closed(error: Exception) -> None:
    source = CountedHandles(Failing(MemorySource(bytes(1000)), 500, error))
    sink = MemorySink(1000)
    with pytest.raises(type(error), match="b") as caught:
        pipeline.copy(source, sink, request_size=10, workers=3)
    assert caught.value is error
    assert source.open == []


def test_error_of_the_walk_is_raised() -> None:
    class BadMap(WrappedSource):
        def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
            yield Extent(0, 10, D)
            raise DataPathError("no map")

    source = CountedHandles(BadMap(MemorySource(bytes(1000))))
    with pytest.raises(DataPathError, match="no map"):
        pipeline.copy(source, MemorySink(1000))
    assert source.open == []


def test_error_of_the_sink_is_raised() -> None:
    class Full(WrappedSink):
        def write(self, offset: int, data: memoryview) -> None:
            raise DataPathError("full")

    with pytest.raises(DataPathError, match="full"):
        pipeline.copy(MemorySource(bytes(1000)), Full(MemorySink(1000)), request_size=10)


def test_clone_that_fails_closes_those_before() -> None:
    class SecondCloneFails(CountedHandles):
        def clone(self) -> Self:
            if self.open:
                raise DataPathError("too many clients")
            return super().clone()

    source = SecondCloneFails(MemorySource(bytes(10)))
    with pytest.raises(DataPathError, match="too many clients"):
        pipeline.copy(source, MemorySink(10))
    assert source.open == []


def test_flush_comes_last_and_not_after_an_error() -> None:
    class Flushed(WrappedSink):
        flushes = 0

        def flush(self) -> None:
            Flushed.flushes += 1

    pipeline.copy(MemorySource(bytes(10)), Flushed(MemorySink(10)))
    assert Flushed.flushes == 1
    broken = Failing(MemorySource(bytes(10)), 0, DataPathError("x"))
    with pytest.raises(DataPathError):
        pipeline.copy(broken, Flushed(MemorySink(10)))
    assert Flushed.flushes == 1


@pytest.mark.parametrize("size", [100, 10_000])
def test_ctrl_c_stops_the_workers(size: int) -> None:
    """With few requests the signal meets the caller in join(), with many in put()."""
    source = CountedHandles(Slow(MemorySource(bytes(size)), 0.1))
    ctrl_c = threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pipeline.copy(source, MemorySink(size), request_size=20)
    assert time.monotonic() - began < 2
    assert source.open == []
    ctrl_c.join()


def test_scope_of_the_caller_reaches_the_workers() -> None:
    token = CancelToken()
    source = Slow(MemorySource(bytes(10_000)), 0.05)
    threading.Timer(0.2, token.cancel).start()
    began = time.monotonic()
    with token.scope(), pytest.raises(Interrupted):
        pipeline.copy(source, MemorySink(10_000), request_size=10)
    assert time.monotonic() - began < 2


def test_walk_is_not_far_ahead_of_the_work() -> None:
    """Memory stays bounded: the extents of a huge disk are taken as they are needed."""
    walked = itertools.count()

    class Endless(WrappedSource):
        def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
            for at in range(0, 10_000, 10):
                next(walked)
                yield Extent(at, 10, D if at % 20 else U)

    class FailsLater(Endless):
        def readinto(self, offset: int, buffer: memoryview) -> None:
            if offset > 1000:
                raise DataPathError("stop")
            super().readinto(offset, buffer)

    with pytest.raises(DataPathError):
        pipeline.copy(FailsLater(MemorySource(bytes(10_000))), MemorySink(10_000))
    assert next(walked) < 130


class TestInOrder:
    """For outputs that are written from front to back."""

    def test_results_come_in_the_order_of_the_disk(self) -> None:
        content = random.Random(5).randbytes(65_536)
        extents = [Extent(0, 30_000, D), Extent(30_000, 10_000, Z), Extent(40_000, 25_536, D)]
        turns = threading.Semaphore(1)

        def make(offset: int, data: memoryview) -> bytes:
            if offset % 2000:  # some take longer than those behind them
                with turns:
                    time.sleep(0.001)
            return bytes(data)

        source = MemorySource(content, extents)
        found = list(pipeline.in_order(source, make, granularity=1, request_size=1000, workers=4))
        assert [at for at, _ in found] == [*range(0, 30_000, 1000), *range(40_000, 65_536, 1000)]
        assert all(data == content[at : at + 1000] for at, data in found)

    def test_the_first_error_is_raised_and_nothing_is_left_open(self) -> None:
        source = CountedHandles(Failing(MemorySource(bytes(10_000)), 5000, DataPathError("broken")))
        results = pipeline.in_order(source, lambda *_: None, granularity=1, request_size=100)
        seen: list[int] = []
        with pytest.raises(DataPathError, match="broken"):
            seen.extend(at for at, _ in results)
        assert seen == list(range(0, 5000, 100))
        assert source.open == []

    def test_who_stops_early_leaves_nothing_open(self) -> None:
        source = CountedHandles(MemorySource(bytes(10_000)))
        results = pipeline.in_order(source, lambda *_: None, granularity=1, request_size=100)
        assert next(results)[0] == 0
        results.close()
        assert source.open == []

    def test_few_results_wait(self) -> None:
        made = itertools.count()
        results = pipeline.in_order(
            MemorySource(bytes(10_000)),
            lambda *_: next(made),
            granularity=1,
            request_size=100,
            workers=2,
        )
        next(results)
        time.sleep(0.05)
        assert next(made) <= 2 * 2 + 1
        results.close()
