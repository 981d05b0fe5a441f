from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.flows.fleet.parallel import run_each
from hypersdk.model.errors import InvalidInput

PATIENCE = 30.0


class Crowd:
    """Counts who works at once. Everybody stays a moment, so that others can come."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def work(self, item: str) -> str:
        for key in ("all", item[0]):
            with self.lock:
                self.now[key] += 1
                self.most[key] = max(self.most[key], self.now[key])
        time.sleep(0.005)
        with self.lock:
            self.now["all"] -= 1
            self.now[item[0]] -= 1
        return item.upper()


def run(items: list[str], crowd: Crowd, workers: int, per_key: int) -> list[str]:
    return run_each(
        items,
        crowd.work,
        skip=lambda item: f"skipped {item}",
        key=lambda item: item[0],
        workers=workers,
        per_key=per_key,
        cancel=CancelToken(),
    )


def test_results_are_in_order_and_the_bounds_are_kept() -> None:
    crowd = Crowd()
    items = [f"{key}{number}" for key in "abc" for number in range(20)]
    assert run(items, crowd, 5, 2) == [item.upper() for item in items]
    assert crowd.most["all"] == 5
    assert max(crowd.most[key] for key in "abc") == 2


def test_a_hypervisor_at_its_bound_does_not_hold_up_the_others() -> None:
    free = threading.Event()

    def work(item: str) -> str:
        if item == "b":
            free.set()
        else:
            assert free.wait(PATIENCE), "b waits behind the items of a"
        return item

    items = ["a1", "a2", "a3", "b"]
    assert (
        run_each(
            items,
            work,
            skip=str,
            key=lambda item: item[0],
            workers=2,
            per_key=1,
            cancel=CancelToken(),
        )
        == items
    )


def test_what_has_not_begun_is_skipped_when_it_is_cancelled() -> None:
    token = CancelToken()
    seen: list[CancelToken] = []

    def work(item: str) -> str:
        seen.append(token_in_force())
        token.cancel()
        return item

    results = run_each(
        ["a", "b", "c"],
        work,
        skip=lambda item: f"skipped {item}",
        key=lambda _: "",
        workers=1,
        per_key=1,
        cancel=token,
    )
    assert results == ["a", "skipped b", "skipped c"]
    assert seen == [token], "and those that work can see it"


def test_a_fault_of_the_work_ends_the_run() -> None:
    def work(item: str) -> str:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        run_each(
            ["a"] * 50,
            work,
            skip=str,
            key=lambda _: "",
            workers=3,
            per_key=2,
            cancel=CancelToken(),
        )


def test_no_items_and_no_workers() -> None:
    assert run([], Crowd(), 5, 2) == []
    with pytest.raises(InvalidInput):
        run(["a"], Crowd(), 0, 2)
    with pytest.raises(InvalidInput):
        run(["a"], Crowd(), 1, 0)
