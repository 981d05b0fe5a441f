"""Real counters of real processes."""

from __future__ import annotations

import time

from hypersdk.model.instances import InstanceState
from hypersdk.model.units import MIB
from tests.drivers.qmp.conftest import Place


def test_counters_grow_with_what_the_guest_does(place: Place) -> None:
    place.running()
    place.create("idle")
    before = place.driver.metrics.metrics(["web"])[0]
    place.guest.write("web", 0, b"x" * MIB)
    after = place.driver.metrics.metrics(["web"])[0]
    deadline = time.monotonic() + 20
    while not after.disks[0].read_bytes:  # the firmware looks for a boot sector
        assert time.monotonic() < deadline
        after = place.driver.metrics.metrics(["web"])[0]
    assert after.disks[0].allocation > before.disks[0].allocation
    assert after.cpu_nanoseconds > 0
    assert after.memory_resident > MIB
    assert (after.memory, after.vcpus) == (64 * MIB, 1)
    listed = place.driver.metrics.metrics()
    assert [(found.name, found.state) for found in listed] == [
        ("idle", InstanceState.STOPPED),
        ("web", InstanceState.RUNNING),
    ]
    assert listed[0].cpu_nanoseconds == 0
    assert listed[0].disks[0].capacity == 16 * MIB
