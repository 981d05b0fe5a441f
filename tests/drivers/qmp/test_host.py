from __future__ import annotations

import os

from tests.drivers.qmp.conftest import Place


def test_figures_are_observed(place: Place) -> None:
    before = place.driver.host.info()
    assert before.product == "QEMU"
    assert before.vcpus == len(os.sched_getaffinity(0))
    assert before.active_instances == 0
    assert 0 < before.memory_available <= before.memory
    assert before.acceleration in {"kvm", "tcg"}
    place.running()
    assert place.driver.host.info().active_instances == 1
