from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.storage import LibvirtStorage
from hypersdk.drivers.libvirt.volumes import LibvirtVolumes
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound
from hypersdk.model.units import GIB, MIB
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


@pytest.fixture
def hypervisor(lab: Lab) -> Iterator[LibvirtHypervisor]:
    connected = LibvirtHypervisor(lab.libvirtd.uri)
    assert connected.storage is not None
    for name in ("one", "two"):
        connected.storage.create_pool(name, str(lab.folder / name))
    yield connected
    connected.close()


@pytest.fixture
def volumes(hypervisor: LibvirtHypervisor) -> LibvirtVolumes:
    assert hypervisor.volumes is not None
    return hypervisor.volumes


@pytest.fixture
def storage(hypervisor: LibvirtHypervisor) -> LibvirtStorage:
    assert hypervisor.storage is not None
    return hypervisor.storage


def _written(path: Path, marker: str) -> None:
    subprocess.run(["qemu-io", "-c", f"write -P {marker} 1M 64k", path], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def _reads(path: Path, marker: str) -> bool:
    done = subprocess.run(
        ["qemu-io", "-r", "-c", f"read -P {marker} 1M 64k", path], capture_output=True, check=False
    )
    return done.returncode == 0 and b"verification failed" not in done.stdout


def test_a_clone_has_the_same_content_also_in_another_pool(
    volumes: LibvirtVolumes, storage: LibvirtStorage, lab: Lab
) -> None:
    storage.create_volume("one", "disk.qcow2", 64 * MIB)
    _written(lab.folder / "one/disk.qcow2", "0x41")
    made = volumes.clone("one", "disk.qcow2", "copy.qcow2", "two")
    assert (made.pool, made.capacity, made.format) == ("two", 64 * MIB, "qcow2")
    assert _reads(Path(made.path), "0x41")
    with pytest.raises(AlreadyExists):
        volumes.clone("one", "disk.qcow2", "copy.qcow2", "two")
    with pytest.raises(NotFound):
        volumes.clone("one", "nothing.qcow2", "other.qcow2")


def test_an_uploaded_image_is_the_volume(volumes: LibvirtVolumes, lab: Lab) -> None:
    image = lab.image("source.qcow2", "64M")
    _written(image, "0x42")
    made = volumes.upload("one", "up.qcow2", image, 64 * MIB, "qcow2")
    assert (made.capacity, made.format) == (64 * MIB, "qcow2")
    assert _reads(Path(made.path), "0x42")
    with pytest.raises(AlreadyExists):
        volumes.upload("one", "up.qcow2", image, 64 * MIB, "qcow2")
    with pytest.raises(InvalidInput):
        volumes.upload("one", "../up.qcow2", image, 64 * MIB, "qcow2")


def test_an_upload_that_is_not_what_was_said_leaves_nothing(
    volumes: LibvirtVolumes, storage: LibvirtStorage, lab: Lab
) -> None:
    image = lab.image("source.qcow2", "64M")
    with pytest.raises(InvalidState, match="removed again"):
        volumes.upload("one", "up.qcow2", image, GIB, "qcow2")
    assert storage.volumes("one") == []


def test_wiping_leaves_zeroes(volumes: LibvirtVolumes, storage: LibvirtStorage, lab: Lab) -> None:
    storage.create_volume("one", "disk.raw", 4 * MIB, "raw")
    path = lab.folder / "one/disk.raw"
    path.write_bytes(os.urandom(4 * MIB))
    volumes.wipe("one", "disk.raw")
    assert path.read_bytes() == bytes(4 * MIB)


def test_shrinking_cuts_off_the_end(volumes: LibvirtVolumes, storage: LibvirtStorage) -> None:
    storage.create_volume("one", "disk.raw", 8 * MIB, "raw")
    assert volumes.shrink("one", "disk.raw", 4 * MIB).capacity == 4 * MIB


def test_a_preallocated_volume_takes_its_room(volumes: LibvirtVolumes) -> None:
    made = volumes.preallocate("one", "full.raw", 8 * MIB, "raw")
    assert made.allocation >= 8 * MIB
    tables = volumes.preallocate("one", "tables.qcow2", 64 * MIB, "qcow2")
    assert (tables.capacity, tables.format) == (64 * MIB, "qcow2")


def test_what_a_domain_uses_stays(
    volumes: LibvirtVolumes, storage: LibvirtStorage, lab: Lab
) -> None:
    made = storage.create_volume("one", "disk.qcow2", 64 * MIB)
    lab.connection.defineXML(domain_xml("web", [DiskSpec(made.path)]))
    with pytest.raises(InvalidState, match="web"):
        volumes.wipe("one", "disk.qcow2")
    with pytest.raises(InvalidState, match="web"):
        volumes.shrink("one", "disk.qcow2", MIB)
