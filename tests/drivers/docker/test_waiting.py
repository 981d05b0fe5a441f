from __future__ import annotations

import threading

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.docker.waiting import awaited
from hypersdk.model.errors import HypervisorError, Interrupted


def test_the_result_and_the_error() -> None:
    assert awaited(lambda: 7, undo=lambda _: pytest.fail("undone")) == 7

    def fails() -> None:
        raise HypervisorError("no")

    with pytest.raises(HypervisorError, match="no"):
        awaited(fails, undo=lambda _: pytest.fail("undone"))


def test_what_comes_too_late_is_undone() -> None:
    token, go, undone = CancelToken(), threading.Event(), threading.Event()
    results: list[int] = []

    def work() -> int:
        token.cancel()
        go.wait(10)
        return 7

    def undo(result: int) -> None:
        results.append(result)
        undone.set()

    with pytest.raises(Interrupted), token.scope():
        awaited(work, undo=undo)
    assert not results
    go.set()
    assert undone.wait(10)
    assert results == [7]


def test_cancelled_before_it_begins_nothing_begins() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Interrupted), token.scope():
        awaited(lambda: pytest.fail("begun"), undo=lambda _: None)
