from __future__ import annotations

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor, connect
from hypersdk.drivers.ports import PARTS, Hypervisor, capabilities, present
from hypersdk.model.errors import HypervisorUnreachable, InvalidInput
from hypersdk.model.capabilities import Grade
from tests.kvm.fixtures import Lab


@pytest.mark.parametrize("url", ["libvirt", "libvirt:///x", "libvirt+", "qemu+qemu:///system"])
def test_a_url_must_name_a_uri_of_libvirts(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"libvirt\+qemu:///system"):
        connect(url)


#: Parts that no machine has.
OF_CONTAINERS = {"execution", "logs", "images", "archives"}


def test_nobody_there() -> None:
    with pytest.raises(HypervisorUnreachable, match="virsh -c"):
        connect("libvirt+qemu+unix:///system?socket=/no/such/socket")


def test_qemu_has_every_part(lab: Lab) -> None:
    hypervisor: Hypervisor = connect(lab.url)
    assert hypervisor.url == lab.url
    assert set(PARTS) - set(present(hypervisor)) == OF_CONTAINERS
    assert all(each.grade is not Grade.PARTIAL for each in capabilities(hypervisor))
    hypervisor.close()
    hypervisor.close()


def test_the_test_driver_has_what_it_can_do() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    found = set(present(hypervisor))
    assert {"inventory", "events", "lifecycle", "storage", "networks"} <= found
    assert "clones" not in found  # it has no images that could be copied
    hypervisor.close()
