from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.folder import LOAD
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import InstanceMetrics
from hypersdk.model.specs import DiskSpec, InstanceSpec
from tests.drivers.mock.lab import MIB


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app(tmp_path: Path, clock: FakeClock) -> MockHypervisor:
    mock = MockHypervisor(tmp_path, clock=clock)
    mock.lifecycle.create(
        InstanceSpec(name="app", vcpus=2, memory=64 * MIB, disks=(DiskSpec(size=4 * MIB),))
    )
    return mock


def measured(mock: MockHypervisor, name: str = "app") -> InstanceMetrics:
    (found,) = mock.metrics.metrics([name])
    return found


def test_bytes_are_those_that_the_guest_moved_since_it_was_started(app: MockHypervisor) -> None:
    with app.guest("app", "vda") as guest:
        guest.write(0, b"x" * MIB)
        app.lifecycle.start("app")
        assert measured(app).disks[0].write_bytes == 0
        guest.write(0, b"x" * MIB)
        guest.zero(0, 4096)
        guest.read(0, 512)
    disk = measured(MockHypervisor(app._path)).disks[0]
    assert (disk.write_bytes, disk.write_requests) == (MIB + 4096, 2)
    assert (disk.read_bytes, disk.read_requests) == (512, 1)
    assert disk.write_nanoseconds > 0
    assert (disk.capacity, disk.allocation) == (4 * MIB, MIB - 4096)
    app.lifecycle.stop("app")
    assert measured(app).disks[0].write_bytes == 0


def test_processor_time_passes_while_it_runs(app: MockHypervisor, clock: FakeClock) -> None:
    clock.advance(10)
    assert measured(app).cpu_nanoseconds == 0
    app.lifecycle.start("app")
    clock.advance(10)
    used = 10 * 2 * LOAD * 1e9
    assert measured(app).cpu_nanoseconds == pytest.approx(used)
    app.lifecycle.pause("app")
    clock.advance(10)
    assert measured(app).cpu_nanoseconds == pytest.approx(used)
    app.lifecycle.resume("app")
    clock.advance(10)
    assert measured(app).cpu_nanoseconds == pytest.approx(2 * used)
    app.lifecycle.stop("app")
    assert measured(app).cpu_nanoseconds == 0
    app.lifecycle.start("app")
    clock.advance(1)
    assert measured(app).cpu_nanoseconds == pytest.approx(used / 10)


def test_a_limit_of_processors_limits_their_time(app: MockHypervisor, clock: FakeClock) -> None:
    app.lifecycle.create(InstanceSpec(name="slow", vcpus=2, cpu_limit=0.5))
    for name in ("slow", "app"):
        app.lifecycle.start(name)
    clock.advance(8)
    assert measured(app).cpu_nanoseconds == 4 * measured(app, "slow").cpu_nanoseconds


def test_memory_is_in_use_while_there_is_a_machine(app: MockHypervisor) -> None:
    assert measured(app).memory_resident == 0
    app.lifecycle.start("app", paused=True)
    found = measured(app)
    assert (found.state, found.memory_resident) == (InstanceState.PAUSED, 64 * MIB)
    assert (found.memory, found.memory_maximum) == (64 * MIB, 64 * MIB)


def test_all_are_given_by_name_and_missing_ones_are_not_found(app: MockHypervisor) -> None:
    app.create_instance("aaa", {})
    assert [each.name for each in app.metrics.metrics()] == ["aaa", "app"]
    with pytest.raises(InstanceNotFound):
        app.metrics.metrics(["nobody"])
