"""Restore to a hypervisor: as what, where, and what is left after a failure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest

import hypersdk
from hypersdk import (
    AlreadyExists,
    CancelToken,
    Damaged,
    InvalidInput,
    NotFound,
    Placement,
    Progress,
    ProvisionOptions,
    RestoredInstance,
    RestorePoint,
)
from hypersdk.model.errors import Interrupted, InvalidState
from hypersdk.model.instances import Definition, InstanceState
from tests.components import missing
from tests.flows.kvm.scene import (
    MIB,
    Scene,
    assert_identical,
    convert,
    image_io,
    source_of,
    start_paused,
    until,
    vda,
)
from tests.kvm.domains import DiskSpec, Guest, domain_xml, qemu_io
from tests.repository.examples import flip, noise

NIC = (
    "<interface type='network'><mac address='52:54:00:11:22:33'/><source network='{}'/></interface>"
)


def restore(scene: Scene, point: RestorePoint, **placement: object) -> RestoredInstance:
    options = ProvisionOptions(placement=Placement(**placement))  # type: ignore[arg-type]
    return hypersdk.restore_instance(scene.repository, point, scene.hypervisor, options=options)


def assert_holds(scene: Scene, name: str, point: RestorePoint) -> None:
    """The disks of a domain are those of a point."""
    domain = scene.lab.connection.lookupByName(name)
    for disk in ET.fromstring(domain.XMLDesc()).iterfind("devices/disk"):
        target, driver = disk.find("target"), disk.find("driver")
        assert target is not None
        assert driver is not None
        raw = scene.out / f"{name}-{target.attrib['dev']}.raw"
        convert(source_of(domain, target.attrib["dev"]), driver.attrib["type"], raw)
        assert_identical(raw, scene.copies[point.id][target.attrib["dev"]])
        raw.unlink()


def names(scene: Scene) -> set[str]:
    return {domain.name() for domain in scene.lab.connection.listAllDomains()}


def files(scene: Scene) -> set[str]:
    return {str(path.relative_to(scene.lab.folder)) for path in scene.lab.folder.rglob("*")}


def xml_of(scene: Scene, name: str) -> ET.Element:
    return ET.fromstring(scene.lab.connection.lookupByName(name).XMLDesc())


@pytest.fixture
def point(scene: Scene) -> RestorePoint:
    """Two disks, qcow2 and raw, a NIC; the domain is stopped."""
    define_network(scene, "lan & co")
    domain = scene.define(
        "we b",
        DiskSpec(scene.lab.image("system disk.qcow2", "32M")),
        DiskSpec(scene.lab.image("data.raw", "8M", format="raw"), target="vdb", format="raw"),
        devices=[NIC.format("lan &amp; co")],
    )
    domain.setAutostart(1)
    (scene.out / "noise").write_bytes(noise(4 * MIB))
    image_io(scene.lab.folder / "system disk.qcow2", f"write -s {scene.out}/noise 1M 4M")
    image_io(scene.lab.folder / "data.raw", "write -P 2 0 1M", format="raw")
    return scene.backup("we b")


def define_network(scene: Scene, name: str) -> None:
    xml = ET.Element("network")
    ET.SubElement(xml, "name").text = name
    ET.SubElement(xml, "bridge", name=f"hs{os.getpid()}{len(name)}")
    ET.SubElement(xml, "dns", enable="no")
    scene.lab.connection.networkDefineXML(ET.tostring(xml, encoding="unicode")).create()


def remove_original(scene: Scene) -> None:
    scene.lab.connection.lookupByName("we b").undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    )
    for disk in scene.disks["we b"]:
        Path(disk.path).unlink()


def test_where_it_was_after_it_was_lost(scene: Scene, point: RestorePoint) -> None:
    uuid = scene.lab.connection.lookupByName("we b").UUIDString()
    before = files(scene)
    remove_original(scene)
    made = restore(scene, point)
    assert (made.instance.name, made.instance.id) == ("we b", uuid)
    assert made.instance.state is InstanceState.STOPPED
    assert [(d.name, d.format, d.size) for d in made.instance.disks] == [
        ("vda", "qcow2", 32 * MIB),
        ("vdb", "raw", 8 * MIB),
    ]
    assert files(scene) == before
    mac = xml_of(scene, "we b").find("devices/interface/mac")
    assert mac is not None
    assert mac.get("address") == "52:54:00:11:22:33"
    assert scene.lab.connection.lookupByName("we b").autostart() == 1
    assert_holds(scene, "we b", point)
    for path in made.disks:
        assert path.path.stat().st_mode & 0o777 == 0o600
    # The next backup reads all, since checkpoints are not in a point, and stores nothing.
    second = scene.backup("we b")
    assert not vda(second).incremental
    assert [disk.statistics.changed for disk in second.disks] == [0, 0]


def test_beside_the_original(scene: Scene, point: RestorePoint) -> None:
    made = restore(scene, point, name="größe")
    xml, original = xml_of(scene, "größe"), xml_of(scene, "we b")
    assert xml.findtext("uuid") != original.findtext("uuid")
    mac = xml.find("devices/interface/mac")
    assert mac is not None
    assert mac.get("address") != "52:54:00:11:22:33"
    assert {path.path.name for path in made.disks} == {"größe-vda.qcow2", "größe-vdb.img"}
    assert_holds(scene, "größe", point)
    assert_holds(scene, "we b", point)
    start_paused(scene.lab.connection.lookupByName("größe"))
    assert xml_of(scene, "größe").find("devices/channel/target[@state]") is not None


@pytest.mark.parametrize("wish", [True, False])
def test_mac_addresses_as_wanted(scene: Scene, point: RestorePoint, wish: bool) -> None:
    restore(scene, point, name="other", new_macs=wish)
    mac = xml_of(scene, "other").find("devices/interface/mac")
    assert mac is not None
    assert (mac.get("address") != "52:54:00:11:22:33") is wish


def test_into_a_folder(scene: Scene, point: RestorePoint) -> None:
    folder = scene.lab.folder / "else where"
    folder.mkdir()
    remove_original(scene)
    restore(scene, point, folder=str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["data.raw", "system disk.qcow2"]
    assert_holds(scene, "we b", point)
    with pytest.raises(NotFound, match="there is no folder"):
        restore(scene, point, name="other", folder=str(folder / "no"))


def make_pool(scene: Scene, name: str, folder: Path) -> libvirt.virStoragePool:
    folder.mkdir(exist_ok=True)
    pool = scene.lab.connection.storagePoolDefineXML(
        f"<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>"
    )
    pool.create()
    return pool


def test_into_a_pool(scene: Scene, point: RestorePoint) -> None:
    pool = make_pool(scene, "fast", scene.lab.folder / "fast")
    restore(scene, point, name="other", pool="fast")
    assert sorted(pool.listVolumes()) == ["other-vda.qcow2", "other-vdb.img"]
    assert_holds(scene, "other", point)
    with pytest.raises(NotFound, match="pool 'slow'"):
        restore(scene, point, name="third", pool="slow")
    with pytest.raises(InvalidInput, match="exclude each other"):
        restore(scene, point, name="third", pool="fast", folder="/tmp")


def test_volume_goes_back_into_its_pool(scene: Scene) -> None:
    pool = make_pool(scene, "fast", scene.lab.folder / "fast")
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", scene.lab.folder / "fast/v.qcow2", "16M"],
        check=True,
    )
    pool.refresh(0)
    domain = scene.define("web", DiskSpec("v.qcow2", type="volume", pool="fast"))
    point = scene.backup()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    (scene.lab.folder / "fast/v.qcow2").unlink()
    pool.refresh(0)
    restore(scene, point)
    assert pool.listVolumes() == ["v.qcow2"]
    assert_holds(scene, "web", point)
    pool.destroy()
    pool.undefine()
    with pytest.raises(InvalidInput, match="not known where disk vda was"):
        restore(scene, point, name="other")


def test_into_a_pool_of_another_kind(scene: Scene, point: RestorePoint) -> None:
    pool = scene.lab.connection.storagePoolDefineXML(
        "<pool type='disk'><name>far</name><source><device path='/dev/null'/>"
        "<format type='gpt'/></source><target><path>/dev</path></target></pool>"
    )
    with pytest.raises(InvalidInput, match="pool 'far' of type disk"):
        restore(scene, point, name="other", pool="far")
    pool.undefine()


def test_networks(scene: Scene, point: RestorePoint) -> None:
    scene.lab.connection.networkLookupByName("lan & co").destroy()
    scene.lab.connection.networkLookupByName("lan & co").undefine()
    define_network(scene, "other net")
    before = files(scene)
    with pytest.raises(NotFound, match="no network 'lan & co'") as caught:
        restore(scene, point, name="other")
    assert "--map-network lan & co=OTHER" in caught.value.hint
    assert "other net" in caught.value.hint
    assert files(scene) == before
    restore(scene, point, name="other", networks={"lan & co": "other net"})
    source = xml_of(scene, "other").find("devices/interface/source")
    assert source is not None
    assert source.get("network") == "other net"


def test_what_is_in_the_way_is_named(scene: Scene, point: RestorePoint) -> None:
    with pytest.raises(AlreadyExists, match="'we b' exists on qemu") as caught:
        restore(scene, point)
    assert "--as" in caught.value.hint
    scene.lab.connection.lookupByName("we b").undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    )
    with pytest.raises(AlreadyExists, match=r"system disk\.qcow2"):
        restore(scene, point)
    assert names(scene) == set()


def test_overwrite(scene: Scene, point: RestorePoint) -> None:
    domain = scene.lab.connection.lookupByName("we b")
    uuid = domain.UUIDString()
    image_io(scene.lab.folder / "system disk.qcow2", "write -P 9 0 8M")
    before = files(scene)
    start_paused(domain)
    with pytest.raises(InvalidState, match="'we b' runs and cannot be replaced"):
        restore(scene, point, overwrite=True)
    domain.destroy()
    made = restore(scene, point, overwrite=True)
    assert made.instance.id == uuid
    assert files(scene) == before
    assert scene.checkpoints("we b") == []
    assert_holds(scene, "we b", point)


def test_starts_it(scene: Scene, point: RestorePoint) -> None:
    remove_original(scene)
    scene.lab.connection.networkLookupByName("lan & co").destroy()
    scene.lab.connection.networkLookupByName("lan & co").undefine()
    options = ProvisionOptions(start=True, placement=Placement(isolated=True))
    made = hypersdk.restore_instance(scene.repository, point, scene.hypervisor, options=options)
    assert made.started
    assert scene.lab.connection.lookupByName("we b").isActive()


def damage(scene: Scene) -> None:
    """Spoil the middle of each pack."""
    for pack in (scene.out.parent / "repository/.hypersdk/packs").rglob("*"):
        if pack.is_file():
            data = pack.read_bytes()
            pack.chmod(0o600)
            pack.write_bytes(flip(data, len(data) // 3))


@pytest.mark.parametrize("placement", [{"name": "other"}, {"overwrite": True}])
def test_damaged_point_leaves_nothing(
    scene: Scene, point: RestorePoint, placement: dict[str, object]
) -> None:
    """Not even with overwrite is anything replaced before all was read."""
    before = files(scene)
    damage(scene)
    with pytest.raises(Damaged):
        restore(scene, point, **placement)
    assert files(scene) == before
    assert names(scene) == {"we b"}
    assert_holds(scene, "we b", point)


def test_cancelled_restore_leaves_nothing(scene: Scene, point: RestorePoint) -> None:
    before, token = files(scene), CancelToken()

    def cancel(progress: Progress) -> None:
        token.cancel()

    with pytest.raises(Interrupted):
        hypersdk.restore_instance(
            scene.repository,
            point,
            scene.hypervisor,
            options=ProvisionOptions(placement=Placement(name="other"), throttle=4 * MIB),
            reporter=cancel,
            cancel=token,
        )
    assert files(scene) == before
    assert names(scene) == {"we b"}


def test_definition_that_libvirt_refuses_leaves_nothing(scene: Scene, point: RestorePoint) -> None:
    before = files(scene)
    with pytest.raises(hypersdk.HypervisorError, match="define"):
        restore(scene, point, name="a\nb")
    assert files(scene) == before


def test_file_that_appears_meanwhile_is_not_replaced(scene: Scene, point: RestorePoint) -> None:
    """The second disk cannot be published: the first and the definition go again."""
    other = scene.lab.folder / "other-vdb.img"

    def appear(progress: Progress) -> None:
        other.write_text("precious")

    options = ProvisionOptions(placement=Placement(name="other"))
    before = files(scene)
    with pytest.raises(AlreadyExists, match="other-vdb"):
        hypersdk.restore_instance(
            scene.repository, point, scene.hypervisor, options=options, reporter=appear
        )
    assert other.read_text() == "precious"
    assert files(scene) == before | {"other-vdb.img"}
    assert names(scene) == {"we b"}


def test_definition_of_another_hypervisor(scene: Scene, point: RestorePoint) -> None:
    assert scene.hypervisor.provisioning is not None
    with pytest.raises(InvalidInput, match="kind 'vmx'"):
        scene.hypervisor.provisioning.build(Definition("vmx", b""), [], Placement())
    with pytest.raises(Damaged):
        scene.hypervisor.provisioning.build(Definition("libvirt", b"{}"), [], Placement())


def test_image_backup_has_no_definition(scene: Scene) -> None:
    image = scene.lab.image("x.raw", "1M", format="raw")
    point = hypersdk.backup_image(scene.repository, image, "x")
    with pytest.raises(InvalidInput, match="holds no definition"):
        restore(scene, point)


def test_uefi_variables(scene: Scene) -> None:
    if not Path("/usr/share/OVMF/OVMF_CODE.fd").exists():
        missing("needs ovmf")
    nvram = scene.lab.folder / "web_VARS.fd"
    disk = DiskSpec(scene.lab.image("web.qcow2"))
    scene.disks["web"] = (disk,)
    xml = domain_xml("web", [disk], firmware="efi")
    xml = xml.replace("</os>", f"<nvram>{nvram}</nvram></os>")
    domain = scene.lab.connection.defineXML(xml)
    never_started = scene.backup()
    assert [disk.name for disk in never_started.disks] == ["vda"]
    made = restore(scene, never_started, name="fresh")
    assert xml_of(scene, "fresh").findtext("os/nvram") != str(nvram)
    domain.create()
    until(nvram.exists)
    domain.destroy()
    with nvram.open("r+b") as file:  # a variable that the guest has set
        file.seek(100_000)
        file.write(b"hello")
    point = scene.backup()
    assert [(disk.name, disk.purpose.value) for disk in point.disks] == [
        ("vda", "disk"),
        ("nvram", "nvram"),
    ]
    made = restore(scene, point, name="twin")
    twin = Path(xml_of(scene, "twin").findtext("os/nvram") or "")
    assert twin == scene.lab.folder / "twin_VARS.fd"
    assert twin.read_bytes() == nvram.read_bytes()
    assert {disk.path for disk in made.disks} >= {twin}
    scene.lab.connection.lookupByName("twin").create()
    domain.undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    )
    Path(disk.path).unlink()
    assert not nvram.exists()
    restore(scene, point)
    assert nvram.exists()
    scene.lab.connection.lookupByName("web").create()


def test_files_of_a_direct_boot(scene: Scene, guest: Guest) -> None:
    """Each restored instance has a kernel of its own."""
    scene.disks["guest"] = (DiskSpec(scene.lab.folder / "guest.qcow2"),)
    guest.write("vda", 0, b"hello")
    point = scene.backup("guest")
    assert [disk.name for disk in point.disks] == ["vda", "kernel", "initrd"]
    restore(scene, point, name="twin", folder=str(scene.lab.folder))
    xml = xml_of(scene, "twin")
    assert xml.findtext("os/kernel") == str(scene.lab.folder / "twin-kernel")
    domain = scene.lab.connection.lookupByName("twin")
    domain.create()
    twin = Guest(domain)
    twin.wait_ready()
    assert twin.run("head -c 5 /dev/vda") == "hello"
    twin.close()


def test_tpm_is_reported(scene: Scene) -> None:
    tpm = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
    scene.define("web", devices=[tpm])
    point = scene.backup()
    assert "emulated TPM is not saved" in point.warnings[0]
    restore(scene, point, name="twin")
    assert xml_of(scene, "twin").find("devices/tpm") is not None


def test_cd_that_is_gone(scene: Scene) -> None:
    """It starts with an empty drive."""
    iso = scene.lab.image("boot.iso", "1M", format="raw")
    disk = DiskSpec(scene.lab.image("web.qcow2", "8M"))
    cd = DiskSpec(iso, target="sda", format="raw", device="cdrom", bus="sata")
    domain = scene.define("web", disk, cd)
    scene.disks["web"] = (disk,)
    point = scene.backup()
    assert [disk.name for disk in point.disks] == ["vda"]
    iso.unlink()
    restore(scene, point, name="twin")
    start_paused(scene.lab.connection.lookupByName("twin"))
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)


def test_overlays_come_back_flat(scene: Scene) -> None:
    base = DiskSpec(scene.lab.image("base.qcow2"))
    image_io(base.path, "write -P 1 0 4M")
    top = DiskSpec(scene.lab.image("top.qcow2", backing=base), backing=base)
    domain = scene.paused("web", top)
    qemu_io(domain, "vda", "write -P 2 1M 1M")
    point = scene.backup()
    restore(scene, point, name="twin")
    assert_holds(scene, "twin", point)
    domain.destroy()


def test_identities_that_follow_the_uuid(scene: Scene) -> None:
    """libvirt refuses another UUID in SMBIOS; a generation id must never come twice."""
    uuid = "9d1f0a0e-6a53-4b39-8a76-2f0b6f5c1a01"
    xml = domain_xml("web", [DiskSpec(scene.lab.image("web.qcow2", "8M"))], uuid=uuid)
    xml = xml.replace(
        "<memory",
        f"<genid>{uuid}</genid><sysinfo type='smbios'><system><entry name='uuid'>{uuid}</entry>"
        "</system></sysinfo><memory",
    )
    scene.lab.connection.defineXML(xml)
    scene.disks["web"] = (DiskSpec(scene.lab.folder / "web.qcow2"),)
    point = scene.backup()
    restore(scene, point, name="twin")
    twin = xml_of(scene, "twin")
    assert twin.findtext("uuid") != uuid
    assert twin.findtext("genid") not in (None, "", uuid)
