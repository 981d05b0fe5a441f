from __future__ import annotations

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor, connect
from hypersdk.drivers.ports import PARTS, Hypervisor, capabilities, present
from hypersdk.model.capabilities import Grade
from hypersdk.model.errors import HypervisorUnreachable, InvalidInput, NotSupported
from hypersdk.model.specs import InstanceSpec
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab


@pytest.mark.parametrize("url", ["libvirt", "libvirt:///x", "libvirt+", "qemu+qemu:///system"])
def test_a_url_must_name_a_uri_of_libvirts(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"libvirt\+qemu:///system"):
        connect(url)


#: Parts that no machine has.
MISSING = {"details", "execution", "logs", "images", "archives"}


def test_nobody_there() -> None:
    with pytest.raises(HypervisorUnreachable, match="virsh -c"):
        connect("libvirt+qemu+unix:///system?socket=/no/such/socket")


def test_limits_are_seen_on_connect(lab: Lab) -> None:
    """A domain that runs shows that this libvirt keeps no control groups."""
    lab.connection.createXML(domain_xml("web"))
    hypervisor = LibvirtHypervisor(lab.libvirtd.uri)
    assert {"lifecycle.cpu_weight", "lifecycle.cpu_limit"} <= {
        limit.aspect for limit in hypervisor.lifecycle.limits
    }
    for asked in (InstanceSpec(name="a", cpu_weight=5), InstanceSpec(name="a", cpu_limit=0.5)):
        with pytest.raises(NotSupported, match=r"no control groups for processors"):
            hypervisor.lifecycle.create(asked)
    hypervisor.close()


def test_qemu_has_every_part(lab: Lab) -> None:
    hypervisor: Hypervisor = connect(lab.url)
    assert hypervisor.url == lab.url
    assert set(PARTS) - set(present(hypervisor)) == MISSING
    partial = [each for each in capabilities(hypervisor) if each.grade is Grade.PARTIAL]
    # Machines have no variables, ports and the like; reverting needs a newer libvirt than 9.0.
    assert {each.part for each in partial} <= {"lifecycle", "snapshots"}
    assert "lifecycle.env" in {limit.aspect for each in partial for limit in each.limits}
    hypervisor.close()
    hypervisor.close()


def test_the_test_driver_has_what_it_can_do() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    found = set(present(hypervisor))
    assert {"inventory", "events", "lifecycle", "storage", "networks"} <= found
    assert not {"clones", "disks", "provisioning"} & found  # it has no images
    hypervisor.close()
