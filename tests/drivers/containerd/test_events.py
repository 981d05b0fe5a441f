from __future__ import annotations

import time

import pytest

from hypersdk.drivers.containerd.events import ContainerdFollowing
from hypersdk.model.errors import HypervisorError, HypervisorUnreachable
from hypersdk.model.instances import EventKind, InstanceState
from tests.containers.containerd import IMAGE
from tests.drivers.containerd.lab import PATIENCE, Lab

DEFINED, REMOVED, STATE = EventKind.DEFINED, EventKind.REMOVED, EventKind.STATE
RUNNING, PAUSED, STOPPED = InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPED


Heard = list[tuple[str, EventKind, InstanceState]]


def _heard(following: ContainerdFollowing, count: int) -> Heard:
    """The next events; and no more come."""
    found: Heard = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < deadline:
        if event := following.next(1.0):
            found.append((event.name, event.kind, event.state))
    assert following.next(0.3) is None
    return found


def test_a_life(lab: Lab) -> None:
    part = lab.hypervisor.lifecycle
    with lab.hypervisor.events.follow() as following:
        lab.created()
        part.start("web")
        part.pause("web")
        part.resume("web")
        lab.shell("true")  # commands inside are no events of the instance
        part.stop("web", force=True)
        part.delete("web")
        assert _heard(following, 6) == [
            ("web", DEFINED, STOPPED),
            ("web", STATE, RUNNING),
            ("web", STATE, PAUSED),
            ("web", STATE, RUNNING),
            ("web", STATE, STOPPED),
            ("web", REMOVED, STOPPED),
        ]
        assert dict(following.instances()) == {}


def test_a_paused_start(lab: Lab) -> None:
    lab.created()
    with lab.hypervisor.events.follow() as following:
        lab.hypervisor.lifecycle.start("web", paused=True)
        assert _heard(following, 1) == [("web", STATE, PAUSED)]
        lab.hypervisor.lifecycle.resume("web")
        assert _heard(following, 1) == [("web", STATE, RUNNING)]


def test_it_begins_with_all_there_is(lab: Lab) -> None:
    lab.running("one", tags={"a": "b"})
    lab.created("two")
    with lab.hypervisor.events.follow() as following:
        known = following.instances()
        assert known["one"] == lab.hypervisor.inventory.instance("one")
        assert known["two"].state is STOPPED
        assert following.next(0.2) is None


def test_what_others_do_and_what_ends_by_itself(lab: Lab) -> None:
    with lab.hypervisor.events.follow() as following:
        lab.daemon.ctr("run", "--detach", IMAGE, "theirs", "/bin/true")
        assert _heard(following, 3) == [
            ("theirs", DEFINED, STOPPED),
            ("theirs", STATE, RUNNING),
            ("theirs", STATE, STOPPED),
        ]
        assert not following.instances()["theirs"].owned


def test_changes_are_in_the_inventory(lab: Lab) -> None:
    lab.running(memory_maximum=128 << 20)
    with lab.hypervisor.events.follow() as following:
        lab.hypervisor.hotplug.set_memory("web", 96 << 20)
        deadline = time.monotonic() + PATIENCE
        while following.instances()["web"].memory != 96 << 20:
            assert time.monotonic() < deadline
            following.next(0.05)
        assert following.instances()["web"].state is RUNNING


def test_a_lost_connection_is_an_error(lab: Lab) -> None:
    lab.created()
    following = lab.hypervisor.events.follow()
    lab.daemon.kill()
    for _ in range(2):
        with pytest.raises(HypervisorUnreachable):
            following.next(PATIENCE)
    following.close()
    lab.daemon.start()
    with lab.hypervisor.events.follow() as again:
        assert list(again.instances()) == ["web"]


def test_a_closed_one_says_so(lab: Lab) -> None:
    following = lab.hypervisor.events.follow()
    following.close()
    following.close()
    with pytest.raises(HypervisorError):
        following.next(1)
