"""Conversations with QEMU: shared between threads and processes, never waited for without end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.qmp.monitor import Monitors
from hypersdk.drivers.qmp.state import InstanceFolder
from hypersdk.model.errors import HypervisorUnreachable, Interrupted
from hypersdk.model.instances import InstanceState
from tests.drivers.qmp.conftest import Place


def test_many_threads_talk_in_turn(place: Place) -> None:
    place.running()
    states: list[InstanceState] = []

    def look() -> None:
        states.extend(place.driver.inventory.instance("web").state for _ in range(10))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == [InstanceState.RUNNING] * 80


def test_a_connection_lost_in_between_is_unreachable_and_the_next_call_connects_anew(
    place: Place,
) -> None:
    place.running()
    folder = place.backend.definition("web")[0]
    power = place.driver.lifecycle._power

    def ask() -> None:
        with power.session(InstanceFolder(folder), "web") as session:
            with place.monitor() as spare:
                spare.ask("quit")
            session.execute("query-status")

    with pytest.raises(HypervisorUnreachable):
        ask()
    place.driver.lifecycle.start("web")
    assert place.driver.inventory.instance("web").state is InstanceState.RUNNING


@pytest.fixture
def deaf(tmp_path: Path) -> tuple[Path, Path]:
    """Somebody who listens and never says a word, and a lock file."""
    lock = tmp_path / "lock"
    lock.touch()
    return tmp_path / "deaf", lock


def test_whoever_does_not_greet_is_unreachable_in_time(deaf: tuple[Path, Path]) -> None:
    monitors = Monitors()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(deaf[0]))
        listener.listen()
        begun = time.monotonic()
        with (
            pytest.raises(HypervisorUnreachable, match="does not answer"),
            monitors.session(*deaf, "web", seconds=0.3),
        ):
            pass
        assert time.monotonic() - begun < 5
    monitors.close()


def test_waiting_for_an_answer_obeys_the_token(deaf: tuple[Path, Path]) -> None:
    monitors = Monitors()
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(deaf[0]))
        listener.listen()
        with (
            token.scope(),
            pytest.raises(Interrupted),
            monitors.session(*deaf, "web", seconds=30),
        ):
            pass
    monitors.close()


def test_an_event_before_the_answer_to_the_greeting_is_no_answer(deaf: tuple[Path, Path]) -> None:
    def answer(connection: socket.socket, early: bytes) -> None:
        connection.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\n')
        while line := connection.recv(4096):  # a command fits into one
            reply: dict[str, object] = {"return": {}}
            if "id" in (asked := json.loads(line)):
                reply["id"] = asked["id"]
            connection.sendall(early + json.dumps(reply).encode() + b"\n")

    def speak(listener: socket.socket) -> None:
        for early in (b'{"event": "STOP", "timestamp": {}}\n', b""):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):  # hung up on in mid-sentence
                answer(connection, early)

    monitors = Monitors()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(deaf[0]))
        listener.listen()
        thread = threading.Thread(target=speak, args=(listener,))
        thread.start()
        with monitors.session(*deaf, "web", seconds=10) as session:
            assert session.execute("query-status") == {}
        thread.join()
    monitors.close()
