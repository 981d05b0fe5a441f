"""What VMware Tools tell."""

from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import GuestAgentMissing, NotSupported
from tests.drivers.vsphere.conftest import Made


def test_tools_answer_while_it_runs(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(tools=True)
    with pytest.raises(GuestAgentMissing, match=name):
        hypervisor.guest_agent.ping(name)
    hypervisor.lifecycle.start(name)
    hypervisor.guest_agent.ping(name)
    info = hypervisor.guest_agent.info(name)
    assert all(each for each in info.addresses)
    hypervisor.lifecycle.stop(name, force=True)


def test_without_tools_nobody_answers(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(tools=False, running=True)
    for ask in (hypervisor.guest_agent.ping, hypervisor.guest_agent.info):
        with pytest.raises(GuestAgentMissing, match=name):
            ask(name)


def test_filesystems_are_frozen_by_snapshots_only(
    hypervisor: VsphereHypervisor, made: Made
) -> None:
    name = made(running=True)
    for ask in (hypervisor.guest_agent.freeze, hypervisor.guest_agent.thaw):
        with pytest.raises(NotSupported, match="snapshot"):
            ask(name)
