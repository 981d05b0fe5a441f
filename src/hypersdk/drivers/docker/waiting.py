"""Calls that the engine answers when it is done, which may take long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import HyperSDKError, Interrupted

T = TypeVar("T")


def awaited(work: Callable[[], T], *, undo: Callable[[T], object]) -> T:
    """What ``work`` returns, made in a thread so that the caller obeys the token.

    The engine cannot be told to stop: when the caller has lost interest, ``undo`` is called with
    the result once there is one.
    """
    token_in_force().check()
    future: Future[T] = Future()
    abandoned = threading.Event()
    settled = threading.Lock()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised to whoever waits
            future.set_exception(error)
            return
        with settled:
            future.set_result(result)
            late = abandoned.is_set()
        if late:
            with contextlib.suppress(HyperSDKError):  # nobody waits for it any more
                undo(result)

    threading.Thread(target=run, name="docker-call", daemon=True).start()
    try:
        while not future.done():
            token_in_force().check()
            _settle(future)
    except Interrupted:
        with settled:
            abandoned.set()
            done = future.done() and future.exception() is None
        if done:
            undo(future.result())
        raise
    return future.result()


def _settle(future: Future[T]) -> None:
    try:
        future.exception(timeout=WAIT_SLICE)
    except TimeoutError:
        return
