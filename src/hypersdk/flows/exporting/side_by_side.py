"""Several disks at the same time; the first error ends the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken
from hypersdk.model.errors import Interrupted

T = TypeVar("T")
R = TypeVar("R")


class GroupToken(CancelToken):
    """Cancelled with its parent, or alone."""

    def __init__(self, parent: CancelToken) -> None:
        super().__init__()
        self._parent = parent

    @property
    def cancelled(self) -> bool:
        return self._parent.cancelled or super().cancelled

    def check(self) -> None:
        self._parent.check()
        super().check()

    def wait(self, seconds: float) -> None:
        while seconds > 0:
            self._parent.check()
            super().wait(min(seconds, WAIT_SLICE))
            seconds -= WAIT_SLICE


def side_by_side(
    items: Sequence[T], work: Callable[[T, CancelToken], R], *, parallel: int, cancel: CancelToken
) -> list[R]:
    """``work(item, token)`` of each item, ``parallel`` at a time, in the order of the items.

    The first error cancels the token of the others, and is raised when all have ended.
    """
    group = GroupToken(cancel)
    first: list[BaseException] = []
    lock = threading.Lock()

    def run(item: T) -> R:
        try:
            group.check()
            with group.scope():
                return work(item, group)
        except BaseException as error:
            with lock:
                # Whoever was stopped because of another's error is not the one to be told of.
                if not first or (isinstance(first[0], Interrupted) and not cancel.cancelled):
                    first.insert(0, error)
            group.cancel()
            raise

    with ThreadPoolExecutor(min(parallel, max(len(items), 1)), "disk") as pool:
        futures = [pool.submit(copy_context().run, run, item) for item in items]
        try:
            for future in futures:
                future.exception()
        except BaseException:
            group.cancel()
            raise
    if first:
        raise first[0]
    return [future.result() for future in futures]
