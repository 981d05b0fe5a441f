from __future__ import annotations

import threading

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.exporting.side_by_side import side_by_side
from hypersdk.model.errors import DataPathError, Interrupted


def test_results_are_in_the_order_of_the_items() -> None:
    barrier = threading.Barrier(3)

    def work(item: int, _: CancelToken) -> int:
        barrier.wait(30)
        return item * item

    assert side_by_side([3, 1, 2], work, parallel=3, cancel=CancelToken()) == [9, 1, 4]


def test_the_first_error_stops_the_others_and_is_raised() -> None:
    begun = threading.Event()
    stopped: list[int] = []

    def work(item: int, token: CancelToken) -> None:
        if item == 0:
            assert begun.wait(30)
            raise DataPathError("broken")
        begun.set()
        try:
            token.wait(60)
        except Interrupted:
            stopped.append(item)
            raise

    with pytest.raises(DataPathError, match="broken"):
        side_by_side([0, 1], work, parallel=2, cancel=CancelToken())
    assert stopped == [1]


def test_what_has_not_begun_is_not_begun_after_an_error() -> None:
    seen: list[int] = []

    def work(item: int, _: CancelToken) -> None:
        seen.append(item)
        raise DataPathError("broken")

    with pytest.raises(DataPathError):
        side_by_side(list(range(9)), work, parallel=1, cancel=CancelToken())
    assert seen == [0]


def test_cancelling_the_caller_cancels_all() -> None:
    cancel = CancelToken()

    def work(_: int, token: CancelToken) -> None:
        cancel.cancel()
        token.wait(60)

    with pytest.raises(Interrupted):
        side_by_side([1, 2], work, parallel=2, cancel=cancel)
