from __future__ import annotations

from collections.abc import Iterator

import pytest

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.usage import Usage
from hypersdk.model.errors import HypervisorUnreachable, InvalidState
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


@pytest.fixture
def connection(lab: Lab) -> Iterator[Connection]:
    connection = Connection(lab.libvirtd.uri)
    yield connection
    connection.close()


def test_domains_and_images_above_are_users(lab: Lab, connection: Connection) -> None:
    (lab.folder / "elsewhere").mkdir()
    base = DiskSpec(lab.image("base & <x>.qcow2", "1M"))
    middle = DiskSpec(lab.image("middle.qcow2", backing=base))
    top = DiskSpec(lab.image("elsewhere/top.qcow2", backing=middle))
    free = lab.image("free.qcow2", "1M")
    iso = DiskSpec(
        lab.image("cd.iso", "1M", format="raw"), "sda", "raw", device="cdrom", bus="sata"
    )
    gone = DiskSpec("/no/such/folder/x", "vdb")
    one = lab.connection.defineXML(domain_xml("one", [top, iso]))
    lab.connection.defineXML(domain_xml("two", [top, gone]))
    found = Usage.of(connection, Folders(connection))
    assert found.of_image(str(top.path)) == "'one', 'two'"
    assert found.of_image(str(middle.path)) == str(top.path)
    assert found.of_image(str(base.path)) == str(middle.path)
    assert found.of_image(str(iso.path)) == "'one'"
    assert found.of_image(str(gone.path)) == "'two'"
    assert found.of_image(str(free)) == ""
    without = Usage.of(connection, Folders(connection), without=one.UUIDString())
    assert without.of_image(str(top.path)) == "'two'"
    assert without.of_image(str(iso.path)) == ""
    assert lab.connection.listAllStoragePools() == []


def test_what_runs_uses_all_of_its_chain(lab: Lab, connection: Connection) -> None:
    """Also what it uses now and its definition does not name."""
    base = DiskSpec(lab.image("base.qcow2", "1M"))
    lab.image("top.qcow2", backing=base)
    domain = lab.connection.defineXML(domain_xml("web"))
    domain.create()
    domain.attachDevice(
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{lab.folder}/top.qcow2'/><target dev='sdb' bus='usb'/></disk>"
    )
    found = Usage.of(connection, Folders(connection))
    assert found.of_image(f"{lab.folder}/top.qcow2") == "'web'"
    assert "'web'" in found.of_image(str(base.path))


def test_what_cannot_be_seen_is_an_error(lab: Lab, connection: Connection) -> None:
    """Nobody may take silence for "unused"."""
    pool = f"<pool type='dir'><name>p</name><target><path>{lab.folder}</path></target></pool>"
    lab.connection.storagePoolDefineXML(pool)
    lab.connection.defineXML(domain_xml("web", [DiskSpec(lab.image("a.qcow2", "1M"))]))
    with pytest.raises(InvalidState, match="virsh pool-start"):
        Usage.of(connection, Folders(connection))
    lab.libvirtd.kill()
    try:
        with pytest.raises(HypervisorUnreachable):
            Usage.of(connection, Folders(connection))
    finally:
        lab.libvirtd.restart()
