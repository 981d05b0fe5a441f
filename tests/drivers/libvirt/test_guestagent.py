from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.guestagent import ANSWER_SECONDS, LibvirtGuestAgent
from hypersdk.model.errors import GuestAgentMissing, HypervisorError, InstanceNotFound, InvalidState
from tests.drivers.libvirt.places import booted, hypervisor, place  # noqa: F401
from tests.kvm.domains import Guest, domain_xml
from tests.kvm.fixtures import Lab

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def agent(hypervisor: LibvirtHypervisor) -> LibvirtGuestAgent:  # noqa: F811
    assert hypervisor.guest_agent is not None
    return hypervisor.guest_agent


@pytest.fixture
def thawed(agent: LibvirtGuestAgent, booted: Guest) -> Iterator[None]:  # noqa: F811
    """Whatever the test does, the guest is not frozen afterwards."""
    yield
    agent.thaw("booted")


def test_ping(agent: LibvirtGuestAgent, booted: Guest) -> None:  # noqa: F811
    agent.ping("booted")
    agent.ping(booted.domain.UUIDString())


def test_info(agent: LibvirtGuestAgent, booted: Guest) -> None:  # noqa: F811
    booted.run("hostname lab-guest; ip addr add 192.0.2.7/24 dev lo; ip link set lo up")
    info = agent.info("booted")
    assert info.hostname == "lab-guest"
    assert info.kernel == booted.run("uname -r").strip()
    assert info.agent_version.startswith("7.2")
    # The guest has no NIC and no os-release. 127.0.0.1 and ::1 are left out.
    assert info.addresses == ("192.0.2.7",)
    (data,) = info.filesystems
    assert (data.mountpoint, data.type) == ("/data", "ext4")
    assert 0 < data.used < data.total < 32 << 20


@pytest.mark.usefixtures("thawed")
def test_freeze_and_thaw(agent: LibvirtGuestAgent, booted: Guest) -> None:  # noqa: F811
    assert agent.freeze("booted") == 1
    booted.run("(echo late > /data/late; echo written > /run/late) & sleep 0.3")
    assert booted.run("ls /run/late 2>/dev/null || echo frozen") == "frozen\n"
    assert agent.thaw("booted") == 1
    assert booted.run("sleep 0.3; cat /run/late") == "written\n"
    assert agent.thaw("booted") == 0


@pytest.mark.usefixtures("thawed")
def test_freeze_by_mountpoint(agent: LibvirtGuestAgent) -> None:
    assert agent.freeze("booted", ["/data"]) == 1
    with pytest.raises(HypervisorError, match="guest-fsfreeze-freeze"):
        agent.freeze("booted")
    assert agent.thaw("booted") == 1
    assert agent.freeze("booted", ["/nowhere"]) == 0


def test_agent_that_hangs(agent: LibvirtGuestAgent, booted: Guest) -> None:  # noqa: F811
    booted.run("killall -STOP qemu-ga")
    begun = time.monotonic()
    try:
        with pytest.raises(GuestAgentMissing):
            agent.ping("booted")
        assert time.monotonic() - begun < ANSWER_SECONDS + 3
    finally:
        booted.run("killall -CONT qemu-ga")
    agent.ping("booted")


def test_paused(agent: LibvirtGuestAgent, booted: Guest) -> None:  # noqa: F811
    booted.domain.suspend()
    try:
        with pytest.raises(InvalidState, match="'booted' is not running"):
            agent.ping("booted")
    finally:
        booted.domain.resume()


@pytest.mark.parametrize("channel", [True, False])
def test_no_agent(agent: LibvirtGuestAgent, place: Lab, channel: bool) -> None:  # noqa: F811
    """Neither a machine without a channel nor one where nobody listens makes anybody wait."""
    place.connection.createXML(domain_xml("mute", agent=channel))
    begun = time.monotonic()
    for ask in (agent.ping, agent.info, agent.freeze, agent.thaw):
        with pytest.raises(GuestAgentMissing, match="no guest agent answers in 'mute'"):
            ask("mute")
    assert time.monotonic() - begun < 1
    place.connection.lookupByName("mute").destroy()


def test_stopped_and_missing(agent: LibvirtGuestAgent, place: Lab) -> None:  # noqa: F811
    place.connection.defineXML(domain_xml("stopped"))
    with pytest.raises(InvalidState, match="'stopped' is not running"):
        agent.ping("stopped")
    with pytest.raises(InstanceNotFound):
        agent.ping("nobody")
