from __future__ import annotations

from hypersdk.drivers.ports import PARTS, capabilities, present
from hypersdk.drivers.registry import connect
from hypersdk.model.capabilities import Grade
from tests.drivers.containerd.lab import Lab


def test_it_is_found_by_its_scheme(lab: Lab) -> None:
    hypervisor = connect(lab.daemon.url)
    assert hypervisor.url == lab.daemon.url
    hypervisor.close()


def test_parts_and_their_limits(lab: Lab) -> None:
    assert set(present(lab.hypervisor)) == {
        "host", "inventory", "events", "lifecycle", "snapshots", "metrics", "hotplug",
        "execution", "logs", "images", "archives",
    }  # fmt: skip
    grades = {one.part: one.grade for one in capabilities(lab.hypervisor)}
    assert list(grades) == list(PARTS)
    partial = {part for part, grade in grades.items() if grade is Grade.PARTIAL}
    assert partial == {"lifecycle", "snapshots", "metrics", "hotplug"}
