from __future__ import annotations

import threading
import time

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.clock import FakeClock, SystemClock
from hypersdk.model.errors import Interrupted


def test_a_sleep_of_the_system_clock_ends_when_it_is_cancelled() -> None:
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    began = time.monotonic()
    with token.scope(), pytest.raises(Interrupted):
        SystemClock().sleep(60)
    assert time.monotonic() - began < 30


def test_a_stubborn_sleep_does_not_look_at_the_token() -> None:
    token = CancelToken()
    token.cancel()
    with token.scope():
        SystemClock().sleep(0.01, stubborn=True)
        FakeClock().sleep(5, stubborn=True)
        with pytest.raises(Interrupted):
            FakeClock().sleep(5)


def test_fake_time_passes_by_sleeping_and_by_hand() -> None:
    clock = FakeClock(100.0)
    clock.sleep(2.5)
    clock.advance(1)
    assert clock.now() == 103.5
    assert clock.sleeps == [2.5]


def test_a_waiting_clock_wakes_sleepers_when_their_time_has_come() -> None:
    clock = FakeClock(0.0, waiting=True)
    woken = threading.Event()

    def sleep() -> None:
        clock.sleep(10)
        woken.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    while not clock.sleeps:
        time.sleep(0.001)
    clock.advance(9)
    assert not woken.wait(0.05)
    clock.advance(1)
    assert woken.wait(10)
    thread.join()


def test_a_waiting_clock_obeys_the_token() -> None:
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    with token.scope(), pytest.raises(Interrupted):
        FakeClock(waiting=True).sleep(10)
