from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypersdk.drivers.libvirt import inventory
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.inventory import LibvirtInventory
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import Disk, Instance, InstanceState
from hypersdk.model.units import KIB, MIB
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


@contextmanager
def inventory_of(uri: str) -> Iterator[LibvirtInventory]:
    connection = Connection(uri)
    yield LibvirtInventory(connection)
    connection.close()


def in_brief(instance: Instance) -> Instance:
    """As the bulk call describes it."""
    disks = (Disk(disk.name, disk.size, "", disk.path) for disk in instance.disks)
    return Instance(
        instance.id,
        instance.name,
        instance.state,
        instance.vcpus,
        instance.memory,
        tuple(disks),
        instance.tags,
        instance.owned,
        instance.folder,
    )


def test_one_call_tells_of_all(lab: Lab) -> None:
    qcow2 = DiskSpec(lab.image("a.qcow2", "64M"))
    raw = DiskSpec(lab.image("ü & b.raw", "3M", format="raw"), "vdb", "raw")
    iso = lab.image("install.ISO", "1M", format="raw")
    disc = DiskSpec(iso, "sda", "raw", device="cdrom", bus="sata")
    for name in ("stopped", "running", '<odd> & "näme"'):
        lab.connection.defineXML(domain_xml(name, [qcow2, raw, disc] if name == "stopped" else []))
    lab.connection.lookupByName("running").create()
    with inventory_of(lab.libvirtd.uri) as found:
        odd, running, stopped = found.instances()
        assert [odd.name, running.name, stopped.name] == ['<odd> & "näme"', "running", "stopped"]
        assert (running.state, stopped.state) == (InstanceState.RUNNING, InstanceState.STOPPED)
        assert (stopped.vcpus, stopped.memory) == (1, 128 * MIB)
        assert stopped.disks == (
            Disk("vda", 64 * MIB, "", str(qcow2.path)),
            Disk("vdb", 3 * MIB, "", str(raw.path)),
        )
        for instance in (odd, running, stopped):
            assert in_brief(found.instance(instance.name)) == instance
            assert found.instance(instance.id) == found.instance(instance.name)
        assert [disk.format for disk in found.instance("stopped").disks] == ["qcow2", "raw"]


def test_the_size_of_a_running_disk_is_the_guests(lab: Lab) -> None:
    image = DiskSpec(lab.image("a.qcow2", "64M"))
    domain = lab.connection.createXML(domain_xml("growing", [image]))
    domain.blockResize("vda", 80 * KIB)
    with inventory_of(lab.libvirtd.uri) as found:
        assert found.instance("growing").disks[0].size == 80 * MIB
        assert next(found.instances()).disks[0].size == 80 * MIB


def test_volumes_have_paths_and_missing_images_no_size(lab: Lab) -> None:
    pool = f"<pool type='dir'><name>p</name><target><path>{lab.folder}</path></target></pool>"
    lab.connection.storagePoolDefineXML(pool).create()
    volume = lab.image("v.qcow2", "5M")
    lab.connection.storagePoolLookupByName("p").refresh()
    lab.connection.defineXML(
        domain_xml(
            "x",
            [DiskSpec("v.qcow2", type="volume", pool="p"), DiskSpec(lab.folder / "gone", "vdb")],
        )
    )
    with inventory_of(lab.libvirtd.uri) as found:
        expected = (
            Disk("vda", 5 * MIB, "qcow2", str(volume)),
            Disk("vdb", 0, "qcow2", str(lab.folder / "gone")),
        )
        assert found.instance("x").disks == expected
        assert [disk.path for disk in next(found.instances()).disks] == [
            disk.path for disk in expected
        ]


def test_a_missing_instance_is_not_found(lab: Lab) -> None:
    with inventory_of(lab.libvirtd.uri) as found:
        for name in ("nobody", "7831d565-30db-464d-bca0-d045b03d0654", "", "ü"):
            with pytest.raises(InstanceNotFound):
                found.instance(name)


def test_many_are_asked_for_in_parts_where_one_answer_is_too_large(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        lab.connection.defineXML(domain_xml(f"d{number}"))
    monkeypatch.setattr(inventory, "_PER_CALL", 3)
    records = inventory._in_parts(lab.connection)
    assert sorted(domain.name() for domain, _ in records) == [f"d{n}" for n in range(7)]
    assert all(record["vcpu.current"] == 1 for _, record in records)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """10 000 domains in libvirt's test driver."""
    domains = "".join(
        f"<domain type='test'><name>d{number:05}</name><memory unit='MiB'>64</memory>"
        "<os><type>hvm</type></os><devices><disk type='file' device='disk'>"
        f"<driver name='qemu' type='qcow2'/><source file='/images/{number}'/>"
        "<target dev='vda'/></disk></devices></domain>"
        for number in range(10_000)
    )
    file = tmp_path / "node.xml"
    file.write_text(f"<node>{domains}</node>")
    return file


def test_a_driver_without_statistics_is_asked_one_by_one(node: Path) -> None:
    with inventory_of(f"test://{node}") as found:
        instances = list(found.instances())
        assert [instance.name for instance in instances] == [f"d{n:05}" for n in range(10_000)]
        assert instances[77] == found.instance("d00077")
        assert instances[77].disks == (Disk("vda", 0, "qcow2", "/images/77"),)
        assert instances[77].memory == 64 * MIB
