from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.events import MockFollowing
from hypersdk.model.errors import HypervisorError, HypervisorUnreachable
from hypersdk.model.instances import EventKind, InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec
from tests.drivers.mock.lab import MIB

START = """
import sys
from hypersdk.drivers.mock.driver import connect
connect(sys.argv[1]).lifecycle.start("db")
"""

DEFINED, STATE, REMOVED = EventKind.DEFINED, EventKind.STATE, EventKind.REMOVED


def told(following: MockFollowing, seconds: float = 0.0) -> list[tuple[EventKind, str, str]]:
    found = []
    while (event := following.next(seconds)) is not None:
        found.append((event.kind, event.name, event.state.value))
        seconds = 0.0
    return found


def test_the_life_of_an_instance_is_told_in_order(mock: MockHypervisor) -> None:
    with mock.events.follow() as following:
        assert {*following.instances()} == {"web"}
        mock.lifecycle.create(InstanceSpec(name="db"))
        mock.lifecycle.start("db")
        mock.lifecycle.pause("db")
        mock.lifecycle.stop("db", force=True)
        mock.lifecycle.stop("db")
        assert told(following) == [
            (DEFINED, "db", "stopped"),
            (STATE, "db", "running"),
            (STATE, "db", "paused"),
            (STATE, "db", "stopped"),
        ]
        assert following.instances()["db"] == mock.inventory.instance("db")
        mock.lifecycle.delete("db")
        assert told(following) == [(REMOVED, "db", "stopped")]
        assert {*following.instances()} == {"web"}


def test_the_inventory_follows_changes_of_devices(mock: MockHypervisor) -> None:
    with mock.events.follow() as following:
        mock.hotplug.attach_disk("web", DiskSpec(size=MIB))
        assert told(following) == [(DEFINED, "web", "running")]
        assert following.instances()["web"] == mock.inventory.instance("web")


def test_other_processes_are_heard(mock: MockHypervisor) -> None:
    mock.create_instance("db", {})
    with mock.events.follow() as following:
        subprocess.run([sys.executable, "-c", START, mock.url], check=True, timeout=60)
        event = following.next(30)
    assert event is not None
    assert (event.name, event.state, event.detail) == ("db", InstanceState.RUNNING, "started")


def test_each_follower_hears_each_event_once(mock: MockHypervisor) -> None:
    with mock.events.follow() as one, mock.events.follow() as other:
        mock.lifecycle.pause("web")
        assert told(one) == told(other) == [(STATE, "web", "paused")]
        assert one.next(0) is None


def test_an_empty_hypervisor_can_be_followed(tmp_path_factory: pytest.TempPathFactory) -> None:
    mock = MockHypervisor(tmp_path_factory.mktemp("empty"))
    with mock.events.follow() as following:
        mock.create_instance("first", {})
        assert told(following) == [(DEFINED, "first", "stopped")]


def test_a_hypervisor_that_is_gone_or_out_of_reach_is_told(mock: MockHypervisor) -> None:
    with mock.events.follow() as following:
        mock.disconnect()
        with pytest.raises(HypervisorUnreachable, match="lost"):
            following.next(0)
    with pytest.raises(HypervisorUnreachable):
        mock.events.follow()
    with mock.events.follow() as following:
        shutil.rmtree(mock._path)
        with pytest.raises(HypervisorUnreachable, match="gone"):
            following.next(0)
    with pytest.raises(HypervisorError, match="ended"):
        following.next(0)
