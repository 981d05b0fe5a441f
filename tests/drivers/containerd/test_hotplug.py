from __future__ import annotations

import os

import pytest

from hypersdk.model.errors import InvalidInput, LimitExceeded, NotSupported
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.containerd.lab import Lab, eventually


def test_memory_now_and_after_a_restart(lab: Lab) -> None:
    lab.running(memory_maximum=128 * MIB)
    lab.hypervisor.hotplug.set_memory("web", 96 * MIB)
    _compare(lab, memory=96 * MIB)
    lab.hypervisor.lifecycle.reset("web")
    _compare(lab, memory=96 * MIB)
    lab.hypervisor.lifecycle.stop("web", force=True)
    lab.hypervisor.hotplug.set_memory("web", 32 * MIB)
    assert lab.hypervisor.inventory.instance("web").memory == 32 * MIB
    lab.hypervisor.lifecycle.start("web")
    _compare(lab, memory=32 * MIB)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the host has one processor")
def test_processors(lab: Lab) -> None:
    lab.running(vcpus_maximum=2)
    lab.hypervisor.hotplug.set_vcpus("web", 2)
    _compare(lab, vcpus=2)
    lab.hypervisor.lifecycle.reset("web")
    _compare(lab, vcpus=2)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the host has one processor")
def test_a_limit_of_processor_time_stays(lab: Lab) -> None:
    lab.running(vcpus_maximum=2, cpu_limit=0.5)
    lab.hypervisor.hotplug.set_vcpus("web", 2)
    assert lab.hypervisor.inventory.instance("web").vcpus == 2
    seen = lab.observer.look("web")
    assert seen is not None
    assert seen.cpu_limit == 0.5


def _compare(lab: Lab, **figures: int) -> None:
    seen, shown = lab.observer.look("web"), lab.hypervisor.inventory.instance("web")
    for field, wanted in figures.items():
        assert (getattr(seen, field), getattr(shown, field)) == (wanted, wanted)


def test_no_more_than_there_is_room_for(lab: Lab) -> None:
    lab.running(memory_maximum=128 * MIB)
    part = lab.hypervisor.hotplug
    with pytest.raises(LimitExceeded, match="room"):
        part.set_memory("web", 129 * MIB)
    with pytest.raises(LimitExceeded, match="room"):
        part.set_vcpus("web", 2)
    with pytest.raises(InvalidInput):
        part.set_memory("web", 0)
    with pytest.raises(InvalidInput):
        part.set_vcpus("web", 0)


def test_less_memory_than_it_uses(lab: Lab) -> None:
    """What was refused is not in the spec either."""
    lab.running(command=("/bin/sh", "-c", "x=$(yes | head -c 30000000); echo full; sleep 1000"))
    eventually(lambda: b"full" in lab.hypervisor.logs.read("web"))
    try:
        lab.hypervisor.hotplug.set_memory("web", 8 * MIB)
    except LimitExceeded:
        _compare(lab, memory=64 * MIB)
    else:  # the second version of cgroups takes it, and makes room its own way
        assert lab.hypervisor.inventory.instance("web").memory == 8 * MIB


def test_other_devices_are_limits(lab: Lab) -> None:
    lab.created()
    part = lab.hypervisor.hotplug
    assert {limit.aspect for limit in part.limits} == {
        "hotplug.disk",
        "hotplug.nic",
        "hotplug.media",
    }
    for change in (
        lambda: part.attach_disk("web", DiskSpec(size=MIB)),
        lambda: part.detach_disk("web", "vda"),
        lambda: part.attach_nic("web", NicSpec()),
        lambda: part.detach_nic("web", "52:54:00:00:00:01"),
        lambda: part.insert_media("web", "/x.iso"),
        lambda: part.eject_media("web"),
    ):
        with pytest.raises(NotSupported):
            change()
