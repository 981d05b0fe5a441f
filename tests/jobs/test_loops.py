from __future__ import annotations

import logging
import threading

import pytest

from hypersdk.jobs.loops import Loop
from hypersdk.model.errors import DatabaseUnavailable
from tests.jobs.lab import eventually


def test_it_turns_again_and_again_until_stopped() -> None:
    turns: list[int] = []
    loop = Loop("test", lambda: turns.append(1), 0.001)
    loop.start()
    eventually(lambda: len(turns) > 5)
    assert loop.stop(seconds=10)
    count = len(turns)
    assert loop.stop()
    assert len(turns) == count


def test_woken_it_turns_at_once() -> None:
    turned = threading.Semaphore(0)
    loop = Loop("test", turned.release, 3600)
    loop.start()
    assert turned.acquire(timeout=30)
    loop.wake()
    assert turned.acquire(timeout=30)
    assert loop.stop(seconds=10)


def test_errors_are_told_once_and_the_next_turn_comes(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        if len(turns) < 4:
            raise DatabaseUnavailable("away", hint="Wait.")
        if len(turns) == 6:
            raise ZeroDivisionError

    with caplog.at_level(logging.INFO, "hypersdk.jobs.loops"):
        loop = Loop("test", turn, 0.001)
        loop.start()
        eventually(lambda: len(turns) > 7)
        loop.stop()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in said] == ["ERROR", "INFO", "ERROR", "INFO"]
    assert "failed" in said[0][1]
    assert "goes on" in said[1][1]


def test_a_turn_may_stop_its_own_loop() -> None:
    done = threading.Event()

    def turn() -> None:
        assert loop.stop()
        done.set()

    loop = Loop("test", turn, 0.001)
    loop.start()
    assert done.wait(30)


def test_one_that_never_began_stops() -> None:
    assert Loop("test", lambda: None, 1).stop()


def test_a_turn_that_does_not_end_is_told() -> None:
    free = threading.Event()
    begun = threading.Event()

    def turn() -> None:
        begun.set()
        free.wait(30)

    loop = Loop("test", turn, 1)
    loop.start()
    assert begun.wait(30)
    assert not loop.stop(seconds=0.01)
    free.set()
    assert loop.stop(seconds=30)
