from __future__ import annotations

from pathlib import Path

from hypersdk.drivers.mock.config import Config, Limits
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.units import GIB, MIB


def test_room_is_what_the_limits_leave(tmp_path: Path) -> None:
    limits = Limits(
        instances=10, vcpus=8, memory=4 * GIB, total_memory=6 * GIB, total_disk=10 * MIB
    )
    mock = MockHypervisor(tmp_path, config=Config(limits=limits))
    mock.create_instance("one", {"vda": 4 * MIB}, memory=3 * GIB)
    mock.create_instance("two", {}, memory=GIB)
    empty = mock.host.info()
    assert (empty.memory, empty.memory_available, empty.active_instances) == (6 * GIB, 4 * GIB, 0)
    mock.lifecycle.start("one")
    info = mock.host.info()
    assert (info.memory_available, info.active_instances) == (3 * GIB, 1)
    assert info.storage_available == 6 * MIB
    assert (info.maximum_instances, info.maximum_vcpus, info.maximum_memory) == (10, 8, 4 * GIB)
    assert (info.product, info.acceleration) == ("mock", "none")


def test_without_totals_there_is_room_for_all_and_disks_have_the_file_systems(
    mock: MockHypervisor,
) -> None:
    info = mock.host.info()
    assert info.memory_available == info.maximum_memory
    assert info.storage_available is not None
    assert info.storage_available > MIB
