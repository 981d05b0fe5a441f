"""Many things at once, but not too many, and not too many on one hypervisor."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar

from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import InvalidInput

T = TypeVar("T")
R = TypeVar("R")


def run_each(
    items: Sequence[T],
    work: Callable[[T], R],
    *,
    skip: Callable[[T], R],
    key: Callable[[T], str],
    workers: int,
    per_key: int,
    cancel: CancelToken,
) -> list[R]:
    """``work`` of each item, in threads; the results are in the order of the items.

    At most ``workers`` run at once, and at most ``per_key`` of those with the same ``key``. Once
    ``cancel`` is cancelled, what has not begun gets ``skip`` instead. ``work`` makes results of
    its errors; what it raises all the same ends the run and is raised here.
    """
    if workers < 1 or per_key < 1:
        raise InvalidInput("at least one thing at once is needed")
    run = _Run(items, work, skip, key, per_key, cancel)
    with cancel.scope():
        threads = [
            threading.Thread(target=copy_context().run, args=(run.serve,), daemon=True)
            for _ in range(min(workers, len(items)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return run.results()


class _Run(Generic[T, R]):
    """The items that are left, and what became of the others."""

    def __init__(
        self,
        items: Sequence[T],
        work: Callable[[T], R],
        skip: Callable[[T], R],
        key: Callable[[T], str],
        per_key: int,
        cancel: CancelToken,
    ) -> None:
        self._items = items
        self._work = work
        self._skip = skip
        self._keys = [key(item) for item in items]
        self._per_key = per_key
        self._cancel = cancel
        self._left = list(range(len(items)))
        self._running: Counter[str] = Counter()
        self._results: dict[int, R] = {}
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def serve(self) -> None:
        """One thread: take an item that may run until there is none."""
        while (index := self._take()) is not None:
            item = self._items[index]
            try:
                result = self._skip(item) if self._cancel.cancelled else self._work(item)
                self._give_back(index, result)
            except BaseException as error:  # noqa: BLE001 - raised where the run was started
                with self._changed:
                    self._failure = self._failure or error
                    self._left.clear()
                    self._changed.notify_all()
                return

    def results(self) -> list[R]:
        if self._failure is not None:
            raise self._failure
        return [self._results[index] for index in range(len(self._items))]

    def _take(self) -> int | None:
        with self._changed:
            while self._left:
                for place, index in enumerate(self._left):
                    if self._running[self._keys[index]] < self._per_key:
                        del self._left[place]
                        self._running[self._keys[index]] += 1
                        return index
                self._changed.wait()
            return None

    def _give_back(self, index: int, result: R) -> None:
        with self._changed:
            self._results[index] = result
            self._running[self._keys[index]] -= 1
            self._changed.notify_all()
