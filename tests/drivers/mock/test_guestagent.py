from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import GuestAgentMissing, InstanceNotFound, Interrupted, InvalidInput
from hypersdk.model.instances import Consistency
from tests.drivers.mock.lab import MIB


@pytest.fixture
def helped(tmp_path: Path) -> MockHypervisor:
    """A running instance with an agent and two disks."""
    mock = MockHypervisor(tmp_path, config=Config(guest_agent=True))
    mock.create_instance("web", {"vda": MIB, "vdb": 2 * MIB})
    mock.lifecycle.start("web")
    return mock


def test_it_tells_of_a_filesystem_on_each_disk(helped: MockHypervisor) -> None:
    with helped.guest("web", "vdb") as guest:
        guest.write(0, b"x" * 4096)
    helped.guest_agent.ping("web")
    info = helped.guest_agent.info("web")
    assert info.hostname == "web"
    assert [(each.mountpoint, each.total, each.used) for each in info.filesystems] == [
        ("/", MIB, 0),
        ("/mnt/vdb", 2 * MIB, 4096),
    ]


def test_what_is_frozen_stays_frozen_for_all_until_it_is_thawed(helped: MockHypervisor) -> None:
    other = MockHypervisor(helped._path, config=Config(guest_agent=True))
    assert [helped.guest_agent.freeze("web"), other.guest_agent.freeze("web")] == [2, 0]
    written = threading.Event()

    def write() -> None:
        with other.guest("web", "vda") as guest:
            guest.write(0, b"waited")
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not written.wait(0.1)
    assert [other.guest_agent.thaw("web"), helped.guest_agent.thaw("web")] == [2, 0]
    assert written.wait(20)
    thread.join()


def test_a_write_that_waits_for_a_thaw_can_be_cancelled(helped: MockHypervisor) -> None:
    helped.guest_agent.freeze("web", ["/"])
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    began = time.monotonic()
    with token.scope(), helped.guest("web", "vda") as guest, pytest.raises(Interrupted):
        guest.write(0, b"x")
    assert time.monotonic() - began < 20
    with pytest.raises(InvalidInput, match="/, /mnt/vdb"):
        helped.guest_agent.freeze("web", ["/srv"])


def test_views_are_of_frozen_filesystems_and_thaw_them(helped: MockHypervisor) -> None:
    for options, expected in (
        (ViewOptions(), Consistency.FILESYSTEM),
        (ViewOptions(freeze=False), Consistency.CRASH),
    ):
        with helped.disks.view("web", {}, options) as view:
            assert view.consistency is expected
            assert helped.guest_agent.thaw("web") == 0
    helped.lifecycle.pause("web")
    with helped.disks.view("web", {}) as view:
        assert view.consistency is Consistency.CRASH


def test_a_machine_that_stops_is_not_frozen_any_more(helped: MockHypervisor) -> None:
    helped.guest_agent.freeze("web")
    helped.lifecycle.stop("web", force=True)
    helped.lifecycle.start("web")
    assert helped.guest_agent.thaw("web") == 0


@pytest.mark.parametrize("verb", ["ping", "info", "freeze", "thaw"])
def test_none_answers_without_an_agent_or_a_running_machine(
    helped: MockHypervisor, mock: MockHypervisor, verb: str
) -> None:
    with pytest.raises(GuestAgentMissing, match="guest_agent"):
        getattr(mock.guest_agent, verb)("web")
    helped.lifecycle.pause("web")
    with pytest.raises(GuestAgentMissing, match="paused"):
        getattr(helped.guest_agent, verb)("web")
    with pytest.raises(InstanceNotFound):
        getattr(helped.guest_agent, verb)("nobody")
