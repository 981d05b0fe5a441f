from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.storage import LibvirtStorage
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.resources import Volume
from hypersdk.model.units import GIB, MIB
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


@pytest.fixture
def storage(lab: Lab) -> Iterator[LibvirtStorage]:
    connected = LibvirtHypervisor(lab.libvirtd.uri)
    assert connected.storage is not None
    yield connected.storage
    connected.close()


def test_a_pool_comes_and_goes_its_files_stay(lab: Lab, storage: LibvirtStorage) -> None:
    folder = lab.folder / "ü & x"
    made = storage.create_pool("<my> pool", str(folder))
    assert (made.name, made.type, made.active, made.path) == ("<my> pool", "dir", True, str(folder))
    assert made.capacity > made.available > 0
    assert storage.pool("<my> pool") == made
    assert lab.connection.storagePoolLookupByName("<my> pool").autostart() == 1
    with pytest.raises(AlreadyExists):
        storage.create_pool("<my> pool", "/elsewhere")
    with pytest.raises(AlreadyExists):
        storage.create_pool("other", f"{folder}/")
    with pytest.raises(InvalidInput):
        storage.create_pool("other", "relative")
    (folder / "file.raw").write_bytes(bytes(MIB))
    storage.delete_pool("<my> pool")
    assert (folder / "file.raw").exists()
    assert storage.pools() == []
    for call in (storage.delete_pool, storage.pool, storage.volumes):
        with pytest.raises(NotFound):
            call("<my> pool")


def test_a_pool_that_cannot_be_is_forgotten(lab: Lab, storage: LibvirtStorage) -> None:
    (lab.folder / "file").touch()
    with pytest.raises(HypervisorError, match="create the pool"):
        storage.create_pool("bad", str(lab.folder / "file"))
    assert storage.pools() == []


def test_pools_that_only_stand_for_folders_are_not_listed(lab: Lab) -> None:
    hypervisor = LibvirtHypervisor(lab.libvirtd.uri)
    assert hypervisor.storage is not None
    with hypervisor.storage._folders.pool(str(lab.folder)) as pool:
        with hypervisor.storage._folders.pool(f"{lab.folder}/") as same:
            assert same.name() == pool.name()
        assert hypervisor.storage.pools() == []
        assert len(lab.connection.listAllStoragePools()) == 1
    assert lab.connection.listAllStoragePools() == []
    hypervisor.close()


def test_a_stopped_pool_is_named(lab: Lab, storage: LibvirtStorage) -> None:
    storage.create_pool("p", str(lab.folder))
    lab.connection.storagePoolLookupByName("p").destroy()
    assert not storage.pool("p").active
    with pytest.raises(InvalidState):
        storage.volumes("p")
    with (
        pytest.raises(InvalidState, match="virsh pool-start"),
        storage._folders.pool(str(lab.folder)),
    ):
        pass


def test_volumes(lab: Lab, storage: LibvirtStorage) -> None:
    storage.create_pool("p", str(lab.folder))
    made = storage.create_volume("p", "ü & a.qcow2", 5 * MIB)
    assert made == Volume(
        "ü & a.qcow2",
        "p",
        str(lab.folder / "ü & a.qcow2"),
        "qcow2",
        5 * MIB,
        made.allocation,
    )
    thin = storage.create_volume("p", "b.raw", GIB, "raw")
    assert (thin.format, thin.capacity, thin.allocation) == ("raw", GIB, 0)
    lab.image("overlay.qcow2", backing=DiskSpec(made.path))  # libvirt has not seen it come
    assert [(v.name, v.backing) for v in storage.volumes("p")] == [
        ("b.raw", ""),
        ("overlay.qcow2", made.path),
        ("ü & a.qcow2", ""),
    ]
    with pytest.raises(AlreadyExists):
        storage.create_volume("p", "b.raw", MIB)
    unseen = lab.image("unseen.raw", "1M", format="raw")
    with pytest.raises(AlreadyExists, match="unseen"):
        storage.create_volume("p", "unseen.raw", 9 * MIB, "raw")
    assert unseen.stat().st_size == MIB
    for name, size, format in (("", 1, "raw"), ("a/b", 1, "raw"), ("x", 0, "raw"), ("x", 1, "tar")):
        with pytest.raises(InvalidInput):
            storage.create_volume("p", name, size, format)


def test_a_volume_grows_and_never_shrinks(lab: Lab, storage: LibvirtStorage) -> None:
    storage.create_pool("p", str(lab.folder))
    for format in ("qcow2", "raw"):
        storage.create_volume("p", format, 2 * MIB, format)
        assert storage.resize_volume("p", format, 4 * MIB).capacity == 4 * MIB
        assert storage.resize_volume("p", format, 4 * MIB).capacity == 4 * MIB
        with pytest.raises(InvalidInput, match="cut off"):
            storage.resize_volume("p", format, 3 * MIB)
    with pytest.raises(NotFound):
        storage.resize_volume("p", "nothing", MIB)


def test_a_volume_that_is_needed_stays(lab: Lab, storage: LibvirtStorage) -> None:
    storage.create_pool("p", str(lab.folder))
    for name in ("used", "base", "free", "listed"):
        storage.create_volume("p", name, MIB)
    overlay = lab.image("overlay", backing=DiskSpec(lab.folder / "base"))
    volume = DiskSpec("listed", "vdb", type="volume", pool="p")
    lab.connection.defineXML(domain_xml("web", [DiskSpec(lab.folder / "used"), volume]))
    for name, user in (("used", "'web'"), ("listed", "'web'"), ("base", str(overlay))):
        with pytest.raises(InvalidState, match=user):
            storage.delete_volume("p", name)
        assert Path(lab.folder / name).exists()
    storage.delete_volume("p", "free")
    assert not Path(lab.folder / "free").exists()
    with pytest.raises(NotFound):
        storage.delete_volume("p", "free")


def test_libvirts_test_driver_has_pools() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    assert hypervisor.storage is not None
    (pool,) = hypervisor.storage.pools()
    made = hypervisor.storage.create_volume(pool.name, "v", MIB)
    assert hypervisor.storage.volumes(pool.name) == [made]
    hypervisor.storage.delete_volume(pool.name, "v")
    assert hypervisor.storage.volumes(pool.name) == []
    hypervisor.close()
