from __future__ import annotations

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.model.errors import InstanceNotFound
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab


def test_facts_of_libvirts_own_example() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    try:
        facts = hypervisor.domains.facts()["test"]
        assert facts.number == 1
        assert facts.persistent
        assert not facts.autostart
        assert hypervisor.domains.of("test").serial == ""
        with pytest.raises(InstanceNotFound):
            hypervisor.domains.of("nobody")
    finally:
        hypervisor.close()


def test_a_running_domain_has_a_number_and_a_line(lab: Lab) -> None:
    domain = lab.connection.defineXML(domain_xml("web"))
    hypervisor = LibvirtHypervisor(lab.libvirtd.uri)
    try:
        assert hypervisor.domains.of("web").number is None
        domain.create()
        domain.setAutostart(1)
        found = hypervisor.domains.of("web")
        assert found.number == domain.ID() == hypervisor.domains.facts()["web"].number
        assert found.serial.startswith("/dev/pts/")
        assert found.autostart
        hypervisor.domains.describe("web", "a <b> & c")
        assert hypervisor.domains.of("web").description == "a <b> & c"
        hypervisor.domains.describe("web", "")
        assert hypervisor.domains.of("web").description == ""
    finally:
        hypervisor.close()
