"""What the kit believes of libvirt is what libvirt shows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.libvirt import LibvirtTarget, target
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import HypervisorUnreachable, InvalidInput
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import MIB
from tests.kvm.fixtures import Lab, lab, libvirtd  # noqa: F401


@pytest.fixture
def kit(lab: Lab) -> Iterator[LibvirtTarget]:  # noqa: F811
    made = target(lab.url, Site(folder=str(lab.folder)))
    yield made
    made.close()


@pytest.fixture
def hypervisor(kit: LibvirtTarget) -> Iterator[Hypervisor]:
    connected = kit.connect()
    assert connected.lifecycle is not None
    connected.lifecycle.create(kit.spec("web"))
    yield connected
    connected.close()


def test_other_drivers_inside_libvirt_are_refused() -> None:
    with pytest.raises(InvalidInput, match="needs domains of QEMU"):
        target("libvirt+test:///default", Site())


def test_a_domain_as_it_is(lab: Lab, kit: LibvirtTarget, hypervisor: Hypervisor) -> None:  # noqa: F811
    assert hypervisor.lifecycle is not None
    seen = kit.observer.look("web")
    assert seen is not None
    assert (seen.state, seen.vcpus, seen.memory) == (InstanceState.STOPPED, 1, 128 * MIB)
    assert seen.id == lab.connection.lookupByName("web").UUIDString()
    assert (seen.disks, seen.nics) == ({"vda": 64 * MIB}, ())
    hypervisor.lifecycle.start("web", paused=True)
    seen = kit.observer.look("web")
    assert seen is not None
    assert (seen.state, seen.vcpus, seen.memory) == (InstanceState.PAUSED, 1, 128 * MIB)
    assert (seen.cpu_weight, seen.cpu_limit) == (None, None)  # no group of its own here
    assert kit.observer.look("nobody") is None
    assert kit.observer.look("-rf") is None


def test_everything_that_is_left_is_seen(kit: LibvirtTarget, hypervisor: Hypervisor) -> None:
    assert hypervisor.lifecycle is not None
    before = kit.observer.resources()
    made = kit.connect()
    assert made.lifecycle is not None
    made.lifecycle.create(kit.spec("other"))
    made.lifecycle.start("other")
    left = kit.observer.resources() - before
    assert {line.split()[0] for line in left} == {"domain", "file", "process"}
    made.lifecycle.stop("other", force=True)
    made.lifecycle.delete("other", disks=True)
    made.close()
    assert kit.observer.resources() == before


@pytest.mark.parametrize("running", [False, True])
def test_the_disk_is_written_and_read(
    kit: LibvirtTarget, hypervisor: Hypervisor, running: bool
) -> None:
    assert hypervisor.lifecycle is not None
    if running:
        hypervisor.lifecycle.start("web")
    data = bytes(range(1, 256)) * 40
    kit.guest.write("web", 1000, data)
    assert kit.guest.read("web", 1000, len(data)) == data
    assert kit.guest.read("web", 999, 2) == b"\0\1"
    kit.guest.zero("web", 1500, 700)
    wanted = data[:500] + bytes(700) + data[1200:]
    assert kit.guest.read("web", 1000, len(data)) == wanted
    end = 64 * MIB
    kit.guest.write("web", end - 512, b"x" * 512)
    assert kit.guest.read("web", end - 600, 600) == bytes(88) + b"x" * 512
    path = kit.spec("web").disks[0].path
    said = subprocess.check_output(["qemu-img", "check", "-U", path], text=True)
    assert "No errors" in said


def test_a_crash_and_a_foreign_one(kit: LibvirtTarget, hypervisor: Hypervisor) -> None:
    assert hypervisor.lifecycle is not None
    assert hypervisor.inventory is not None
    hypervisor.lifecycle.start("web")
    kit.crash("web")
    assert hypervisor.inventory.instance("web").state is InstanceState.CRASHED
    kit.make_foreign("other")
    assert not hypervisor.inventory.instance("other").owned
    hypervisor.lifecycle.stop("web", force=True)
    kit.remove("web")
    assert kit.observer.look("web") is None


def test_only_the_connection_that_is_meant_is_cut(
    kit: LibvirtTarget, hypervisor: Hypervisor
) -> None:
    other = kit.connect()
    assert other.lifecycle is not None
    assert other.inventory is not None
    assert hypervisor.inventory is not None
    for _ in range(2):  # also after it has connected anew
        assert kit.disconnect(other)
        try:
            other.inventory.instance("web")
        except HypervisorUnreachable:
            assert other.inventory.instance("web").name == "web"
        assert hypervisor.inventory.instance("web").name == "web"
    other.close()


def test_a_stubborn_one_has_no_system(kit: LibvirtTarget) -> None:
    site = replace(Site(), kernel="/boot/k", initrd="/boot/i", folder="/srv")
    other = target(kit.url, site)
    assert other.expectations.obeys_stop
    assert other.spec("x").kernel == "/boot/k"
    assert other.stubborn("x").kernel == ""
    assert not kit.expectations.obeys_stop
