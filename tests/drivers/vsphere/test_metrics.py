from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def test_one_question_for_all(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    running, stopped = made(running=True, vcpus=2, memory_mb=64), made()
    found = {each.name: each for each in hypervisor.metrics.metrics()}
    assert (found[running].state, found[running].vcpus) == (InstanceState.RUNNING, 2)
    assert found[running].memory == found[running].memory_maximum == 64 << 20
    assert found[stopped].state is InstanceState.STOPPED
    assert found[stopped].memory_resident == 0


def test_names_choose(hypervisor: VsphereHypervisor, made: Made) -> None:
    one, two, _ = made(folder="x"), made(), made()
    identity = hypervisor.inventory.instance(two).id
    assert [each.name for each in hypervisor.metrics.metrics([one])] == [one]
    both = hypervisor.metrics.metrics([f"x/{one}", identity])
    assert [each.name for each in both] == [one, two]
    assert hypervisor.metrics.metrics([]) == []
    with pytest.raises(InstanceNotFound):
        hypervisor.metrics.metrics([one, "kit-nobody"])


def test_rates_of_many_are_one_call(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    names = sorted(made(running=True) for _ in range(3))
    stopped = made()
    before = vsphere_lab.state()["calls"].get("QueryPerf", 0)
    found = hypervisor.metrics.rates([*names, stopped])
    assert sorted(each.name for each in found) == names
    assert vsphere_lab.state()["calls"]["QueryPerf"] == before + 1
    assert any(each.cpu_percent > 0 for each in found)
    assert all(each.read_bytes >= 0 and each.sent_bytes >= 0 for each in found)


def test_what_is_not_counted_is_a_limit(hypervisor: VsphereHypervisor) -> None:
    aspects = {limit.aspect for limit in hypervisor.metrics.limits}
    assert {"metrics.cpu", "metrics.disk", "metrics.nic"} <= aspects
