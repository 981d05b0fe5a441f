"""What followers are told, whoever did it."""

from __future__ import annotations

import os
import signal
import time

from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.drivers.qmp.events import QmpFollowing
from hypersdk.model.instances import EventKind, InstanceState
from tests.drivers.qmp.conftest import Place

Told = tuple[str, str]


def told(following: QmpFollowing, wanted: list[Told]) -> list[Told]:
    """As many events as are wanted."""
    found: list[Told] = []
    deadline = time.monotonic() + 20
    while len(found) < len(wanted) and time.monotonic() < deadline:
        if event := following.next(0.5):
            found.append((event.kind.value, event.state.value))
    return found


def test_a_life_is_told_in_order_to_all_followers(place: Place) -> None:
    with place.driver.events.follow() as one:
        other_process = QmpHypervisor(place.root)
        with other_process.events.follow() as two:
            place.running()
            life = [("defined", "stopped"), ("state", "running")]
            assert told(one, life) == told(two, life) == life
            place.driver.lifecycle.pause("web")
            place.driver.lifecycle.resume("web")
            life = [("state", "paused"), ("state", "running")]
            assert told(one, life) == told(two, life) == life
            os.kill(place.pids()[0], signal.SIGKILL)
            life = [("state", "crashed")]
            assert told(one, life) == told(two, life) == life
            assert one.instances()["web"].state is InstanceState.CRASHED
            place.driver.lifecycle.stop("web")
            place.driver.lifecycle.delete("web", disks=True)
            event = one.next(20)
            while event is not None and event.kind is not EventKind.REMOVED:
                event = one.next(20)
            assert event is not None
            assert one.instances() == {}
        other_process.close()
