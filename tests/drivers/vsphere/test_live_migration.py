"""vMotion within a vCenter."""

from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import (
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
    NotSupported,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.progress import Progress
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def _hosts(hypervisor: VsphereHypervisor, name: str) -> tuple[str, str]:
    """Where it is, and another host of its cluster."""
    connection = hypervisor.connection
    host = connection.get(connection.vm(name), "runtime.host")["runtime.host"]
    here = connection.get(host, "name", "parent")
    others = connection.get(here["parent"], "host")["host"]
    names = [connection.get(other, "name")["name"] for other in others]
    return here["name"], next(other for other in names if other != here["name"])


def test_it_runs_on_elsewhere(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(running=True)
    heard: list[Progress] = []
    for _ in range(2):
        here, there = _hosts(hypervisor, name)
        hypervisor.live_migration.migrate(name, there, reporter=heard.append)
        assert _hosts(hypervisor, name) == (there, here)
    assert hypervisor.inventory.instance(name).state is InstanceState.RUNNING
    assert [each.finished for each in heard] == [False, True] * 2


def test_the_url_of_the_vcenter_may_name_the_host(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    name = made(running=True)
    _, there = _hosts(hypervisor, name)
    url = f"vsphere://{vsphere_lab.address}/DC0?host={there}"
    hypervisor.live_migration.migrate(name, url, copy_disks=True)
    assert _hosts(hypervisor, name)[0] == there


@pytest.mark.parametrize(
    ("destination", "error", "words"),
    [
        ("esx9.example", NotFound, "esx9.example"),
        ("", InvalidInput, "names no host"),
        ("vsphere://other.example/DC?host=esx1", NotSupported, "stays within"),
        ("qemu:///system", NotSupported, "stays within"),
    ],
)
def test_other_destinations_are_refused(
    hypervisor: VsphereHypervisor,
    made: Made,
    destination: str,
    error: type[Exception],
    words: str,
) -> None:
    name = made(running=True)
    with pytest.raises(error, match=words):
        hypervisor.live_migration.migrate(name, destination)
    assert hypervisor.inventory.instance(name).state is InstanceState.RUNNING


def test_what_cannot_move_is_said(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(running=True)
    here, there = _hosts(hypervisor, name)
    with pytest.raises(InvalidState, match="already"):
        hypervisor.live_migration.migrate(name, here)
    with pytest.raises(NotSupported, match="bandwidth"):
        hypervisor.live_migration.migrate(name, there, bandwidth=1 << 20)
    hypervisor.lifecycle.stop(name, force=True)
    with pytest.raises(InvalidState, match="does not run"):
        hypervisor.live_migration.migrate(name, there)
    with pytest.raises(InstanceNotFound):
        hypervisor.live_migration.migrate("nobody", there)


def test_a_failure_leaves_it_where_it_was(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    name = made(running=True)
    here, there = _hosts(hypervisor, name)
    with (
        vsphere_lab.faulty("soap_fault", method="RelocateVM_Task", fault="NoPermission", times=1),
        pytest.raises(Exception, match=name),
    ):
        hypervisor.live_migration.migrate(name, there)
    assert _hosts(hypervisor, name)[0] == here
