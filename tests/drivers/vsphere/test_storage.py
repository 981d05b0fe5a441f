from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)
from tests.drivers.vsphere.conftest import Made

MIB = 1 << 20


@pytest.fixture
def pool(hypervisor: VsphereHypervisor, tmp_path: Path) -> Iterator[str]:
    name = f"pool-{uuid4().hex[:8]}"
    hypervisor.storage.create_pool(name, str(tmp_path))
    yield name
    hypervisor.storage.delete_pool(name)


def test_datastores_are_pools(hypervisor: VsphereHypervisor, pool: str) -> None:
    found = hypervisor.storage.pool(pool)
    assert found.active
    assert found.capacity >= found.available > 0
    assert found in hypervisor.storage.pools()
    with pytest.raises(AlreadyExists):
        hypervisor.storage.create_pool(pool, found.path)
    with pytest.raises(InvalidInput):
        hypervisor.storage.create_pool("other", "relative/folder")
    with pytest.raises(NotFound, match="no datastore 'nowhere'") as raised:
        hypervisor.storage.pool("nowhere")
    assert pool in raised.value.hint


def test_volumes_come_grow_and_go(hypervisor: VsphereHypervisor, pool: str) -> None:
    storage = hypervisor.storage
    made = storage.create_volume(pool, "disk.vmdk", 4 * MIB, "vmdk")
    assert (made.name, made.pool, made.capacity) == ("disk.vmdk", pool, 4 * MIB)
    assert made.path == f"[{pool}] disk.vmdk"
    assert list(storage.volumes(pool)) == [made]
    with pytest.raises(AlreadyExists):
        storage.create_volume(pool, "disk.vmdk", MIB)
    assert storage.resize_volume(pool, "disk.vmdk", 8 * MIB).capacity == 8 * MIB
    with pytest.raises(InvalidInput):
        storage.resize_volume(pool, "disk.vmdk", 2 * MIB)
    storage.delete_volume(pool, "disk.vmdk")
    assert list(storage.volumes(pool)) == []
    with pytest.raises(NotFound):
        storage.delete_volume(pool, "disk.vmdk")


def test_what_cannot_be_made(hypervisor: VsphereHypervisor, pool: str) -> None:
    with pytest.raises(InvalidInput):
        hypervisor.storage.create_volume(pool, "disk.qcow2", MIB, "qcow2")
    with pytest.raises(LimitExceeded):
        hypervisor.storage.create_volume(pool, "disk.vmdk", 1 << 62)
    with pytest.raises(LimitExceeded):
        hypervisor.storage.create_volume(pool, "disk.vmdk", 0)


def test_a_disk_in_use_stays(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(disks=[{"size": MIB}])
    _, _, file = hypervisor.inventory.instance(name).disks[0].path.partition("] ")
    with pytest.raises(InvalidState, match=f"a disk of '{name}'"):
        hypervisor.storage.delete_volume("LocalDS_0", file)
