from __future__ import annotations

import threading
import time

import pytest

from hypersdk.datapath.cancel import Cancellable, CancelToken, token_in_force
from hypersdk.datapath.memory import MemorySource
from hypersdk.model.errors import Interrupted


def test_token_is_raised_once_cancelled() -> None:
    token = CancelToken()
    token.check()
    states = [token.cancelled]
    token.cancel()
    token.cancel()
    states.append(token.cancelled)
    assert states == [False, True]
    with pytest.raises(Interrupted):
        token.check()


def test_wait_ends_early() -> None:
    token = CancelToken()
    token.wait(0.01)
    threading.Timer(0.05, token.cancel).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        token.wait(30)
    assert time.monotonic() - began < 5


def test_scopes_nest() -> None:
    outer, inner = CancelToken(), CancelToken()
    nobody = token_in_force()
    with outer.scope():
        with inner.scope():
            assert token_in_force() is inner
        assert token_in_force() is outer
    assert token_in_force() is nobody


def test_cancellable_stops_reads_and_walks() -> None:
    token = CancelToken()
    source = Cancellable(MemorySource(bytes(10)), token)
    walk = source.extents()
    source.readinto(0, memoryview(bytearray(10)))
    assert token_in_force() is not token
    clone = source.clone()
    token.cancel()
    with pytest.raises(Interrupted):
        next(walk)
    for handle in (source, clone):
        with pytest.raises(Interrupted):
            handle.readinto(0, memoryview(bytearray(10)))


def test_cancellable_puts_its_token_in_force_below() -> None:
    token = CancelToken()
    seen = []

    class Watching(MemorySource):
        def readinto(self, offset: int, buffer: memoryview) -> None:
            seen.append(token_in_force())
            super().readinto(offset, buffer)

    Cancellable(Watching(bytes(10)), token).readinto(0, memoryview(bytearray(10)))
    assert seen == [token]
