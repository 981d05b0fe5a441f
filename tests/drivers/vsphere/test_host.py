from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.ports import capabilities
from hypersdk.drivers.vsphere.driver import VsphereHypervisor, connect
from hypersdk.model.capabilities import Grade
from hypersdk.model.errors import NotSupported
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def test_a_vcenter_is_the_sum_of_its_hosts(hypervisor: VsphereHypervisor, made: Made) -> None:
    before = hypervisor.host.info()
    assert before.product == "VMware vCenter Server (simulator)"
    assert before.vcpus >= 2
    assert before.memory > before.memory_available > 0
    assert before.storage_available
    assert before.architecture == "x86_64"
    made(running=True)
    assert hypervisor.host.info().active_instances == before.active_instances + 1


def test_an_esxi_host(vsphere_lab: VsphereLab, tmp_path: Path) -> None:
    with VsphereLab.start(tmp_path / "esx", esx=True) as lab:
        hypervisor = connect(lab.url)
        lab.add_vm(name="web", disks=[{"size": 1 << 20}])
        assert "ESXi" in hypervisor.host.info().product
        assert [found.name for found in hypervisor.inventory.instances()] == ["web"]
        details = hypervisor.details.details("web")
        assert (details.cluster, details.balanced) == ("", None)
        assert details.path.endswith("/vm/web")
        topology = hypervisor.topology.read()
        assert topology.tags is None
        assert len(topology.hosts) == 1
        with pytest.raises(NotSupported):
            hypervisor.topology.tags()
        hypervisor.close()


def test_capabilities_are_those_of_the_parts(hypervisor: VsphereHypervisor) -> None:
    grades = {each.part: each.grade for each in capabilities(hypervisor)}
    assert grades["details"] is grades["inventory"] is grades["events"] is Grade.FULL
    assert grades["metrics"] is Grade.PARTIAL
    assert grades["console"] is grades["execution"] is grades["archives"] is Grade.NONE
