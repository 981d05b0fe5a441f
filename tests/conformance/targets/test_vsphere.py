"""The target of the vSphere driver looks past it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.vsphere import DISK, LabTarget, VsphereTarget, target
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import NicSpec
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import VsphereLab

__all__ = ["vsphere_lab"]


@pytest.fixture
def lab_target(vsphere_lab: VsphereLab) -> Iterator[LabTarget]:
    made = target(vsphere_lab.url, Site(extra={"control": vsphere_lab.control}))
    assert isinstance(made, LabTarget)
    yield made
    made.close()


def test_without_a_control_connection_there_is_no_guest(vsphere_lab: VsphereLab) -> None:
    made = target(vsphere_lab.url, Site())
    assert type(made) is VsphereTarget
    assert made.guest is None
    assert not made.expectations.obeys_stop
    made.close()


def test_another_certificate_is_refused(vsphere_lab: VsphereLab) -> None:
    url = vsphere_lab.url.partition("?")[0] + "?fingerprint=" + "00" * 32
    with pytest.raises(InvalidInput, match="another certificate"):
        target(url, Site())


def test_the_observer_sees_what_was_made(lab_target: LabTarget) -> None:
    name = f"target-{uuid4().hex[:8]}"
    before = lab_target.observer.resources()
    hypervisor = lab_target.connect()
    assert hypervisor.lifecycle is not None
    spec = lab_target.spec(name)
    made = hypervisor.lifecycle.create(spec)
    try:
        seen = lab_target.observer.look(name)
        assert seen is not None
        assert (seen.id, seen.state) == (made.id, InstanceState.STOPPED)
        assert (seen.vcpus, seen.memory) == (spec.vcpus, spec.memory)
        assert seen.disks == {DISK: spec.disks[0].size}
        assert seen.nics == ()
        left = lab_target.observer.resources() - before
        assert f"machine {name}" in left
        assert any(line.startswith("file ") and line.endswith(".vmdk") for line in left)
    finally:
        hypervisor.lifecycle.delete(name, disks=True)
        hypervisor.close()
    assert lab_target.observer.look(name) is None
    assert lab_target.observer.resources() == before


def test_foreign_machines_are_made_and_removed(lab_target: LabTarget) -> None:
    name = f"target-{uuid4().hex[:8]}"
    lab_target.make_foreign(name)
    assert lab_target.observer.look(name) is not None
    lab_target.remove(name)
    assert lab_target.observer.look(name) is None


def test_guests_write_and_read(lab_target: LabTarget) -> None:
    name = f"target-{uuid4().hex[:8]}"
    hypervisor = lab_target.connect()
    assert hypervisor.lifecycle is not None
    assert lab_target.guest is not None
    hypervisor.lifecycle.create(lab_target.spec(name))
    try:
        lab_target.guest.write(name, 700, b"word" * 1000)
        lab_target.guest.zero(name, 704, 4)
        assert lab_target.guest.read(name, 698, 14) == b"\0\0word\0\0\0\0word"
    finally:
        hypervisor.lifecycle.delete(name, disks=True)
        hypervisor.close()


def test_nics_are_of_the_network_of_the_site(vsphere_lab: VsphereLab) -> None:
    made = target(vsphere_lab.url, Site(extra={"network": "DC0_DVPG0"}))
    assert made.nic() == NicSpec(network="DC0_DVPG0")
    made.close()
