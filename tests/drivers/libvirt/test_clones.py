from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import libvirt
import pycdlib
import pytest

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.clones import LibvirtClones
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
)
from hypersdk.model.specs import CloudInit, InstanceSpec, NicSpec
from hypersdk.model.specs import DiskSpec as NewDisk
from hypersdk.model.units import MIB
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


@pytest.fixture
def hypervisor(lab: Lab) -> Iterator[LibvirtHypervisor]:
    connected = LibvirtHypervisor(lab.libvirtd.uri)
    yield connected
    connected.close()


@pytest.fixture
def clones(hypervisor: LibvirtHypervisor) -> LibvirtClones:
    assert hypervisor.clones is not None
    return hypervisor.clones


def xml_of(lab: Lab, name: str) -> Element:
    return translate.parsed(
        lab.connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    )


def written(image: Path | str, pattern: int, area: str) -> None:
    subprocess.run(["qemu-io", "-c", f"write -q -P {pattern} {area}", image], check=True)


def holds(image: Path | str, pattern: int, area: str) -> bool:
    said = subprocess.check_output(["qemu-io", "-c", f"read -q -P {pattern} {area}", image])
    return said == b""


def facts(image: Path | str) -> dict[str, object]:
    said = subprocess.check_output(["qemu-img", "info", "--output=json", image])
    result: dict[str, object] = json.loads(said)
    return result


def test_a_full_clone_shares_nothing(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """Neither backing images, nor records of changes, nor addresses, nor UEFI variables."""
    base = DiskSpec(lab.image("base.qcow2", "4M"))
    written(base.path, 0x41, "0 1M")
    top = lab.image("top & x.qcow2", backing=base)
    written(top, 0x42, "1M 1M")
    raw = lab.image("r.raw", "3M", format="raw")
    raw.write_bytes(b"raw" + raw.read_bytes()[3:])
    disks = [DiskSpec(top), DiskSpec(raw, "vdb", "raw")]
    variables = lab.folder / "old_VARS.fd"
    nic = "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
    source = domain_xml("web", disks, firmware="efi", devices=[nic]).replace(
        "</os>", f"<nvram>{variables}</nvram></os>"
    )
    original = lab.connection.defineXML(source)
    hypervisor.lifecycle.start("web", paused=True)
    original.checkpointCreateXML(
        "<domaincheckpoint><name>c</name><disks><disk name='vda' checkpoint='bitmap'/>"
        "<disk name='vdb' checkpoint='no'/></disks></domaincheckpoint>"
    )
    hypervisor.lifecycle.stop("web", force=True)
    assert "bitmaps" in str(facts(top))
    written(variables, 0x55, "0 512")
    before = original.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)

    assert hypervisor.clones is not None
    made = hypervisor.clones.clone("web", "<cöpy>")
    assert original.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before
    assert made.id != original.UUIDString()
    assert [(disk.path, disk.size) for disk in made.disks] == [
        (f"{lab.folder}/<cöpy>-vda.qcow2", 4 * MIB),
        (f"{lab.folder}/<cöpy>-vdb.raw", 3 * MIB),
    ]
    copy = made.disks[0].path
    assert holds(copy, 0x41, "0 1M")
    assert holds(copy, 0x42, "1M 1M")
    assert "backing-filename" not in facts(copy)
    assert "bitmaps" not in str(facts(copy))
    assert "'compat': '1.1'" in str(facts(copy))
    assert Path(made.disks[1].path).read_bytes()[:3] == b"raw"
    assert Path(made.disks[1].path).stat().st_blocks * 512 < MIB  # holes stay holes
    assert lab.connection.lookupByName("<cöpy>").listAllCheckpoints() == []
    xml = xml_of(lab, "<cöpy>")
    mac = xml.find("devices/interface/mac")
    assert mac is not None
    assert mac.get("address") != "52:54:00:00:00:01"
    assert xml.findtext("os/nvram") == f"{lab.folder}/<cöpy>_VARS.fd"
    assert (lab.folder / "<cöpy>_VARS.fd").read_bytes() == variables.read_bytes()

    hypervisor.lifecycle.start("web", paused=True)
    hypervisor.lifecycle.start("<cöpy>", paused=True)
    hypervisor.lifecycle.stop("<cöpy>", force=True)
    hypervisor.lifecycle.delete("<cöpy>", disks=True)
    assert sorted(path.name for path in lab.folder.iterdir()) == [
        "base.qcow2",
        "old_VARS.fd",
        "r.raw",
        "top & x.qcow2",
    ]


def test_a_linked_clone_holds_what_differs(
    lab: Lab, hypervisor: LibvirtHypervisor, clones: LibvirtClones
) -> None:
    image = lab.image("a.qcow2", "4M")
    raw = lab.image("r.raw", "3M", format="raw")
    written(image, 0x41, "0 1M")
    lab.connection.defineXML(domain_xml("web", [DiskSpec(image), DiskSpec(raw, "vdb", "raw")]))
    for new in ("one", "two"):
        made = clones.clone("web", new, linked=True)
        assert [disk.format for disk in made.disks] == ["qcow2", "qcow2"]
        assert facts(made.disks[0].path)["full-backing-filename"] == str(image)
        assert facts(made.disks[1].path)["backing-filename-format"] == "raw"
        assert holds(made.disks[0].path, 0x41, "0 1M")
        assert made.tags == {}
        hypervisor.lifecycle.start(new, paused=True)
        hypervisor.lifecycle.stop(new, force=True)

    assert hypervisor.inventory.instance("web").tags == {"hypersdk:template": "yes"}
    with pytest.raises(InvalidState, match="is a template"):
        hypervisor.lifecycle.start("web")
    with pytest.raises(InvalidState, match=r"used by .*'one'|used by .*one-vda"):
        clones.unmake_template("web")
    with pytest.raises(HypervisorError, match=r"a\.qcow2: used by"):
        hypervisor.lifecycle.delete("web", disks=True)
    assert holds(f"{lab.folder}/two-vda.qcow2", 0x41, "0 1M")


def test_a_template_is_an_instance_again_when_nobody_needs_it(
    lab: Lab, hypervisor: LibvirtHypervisor, clones: LibvirtClones
) -> None:
    image = lab.image("a.qcow2", "4M")
    tags = {"tier": "gold & <x>"}
    hypervisor.lifecycle.create(
        InstanceSpec(name="web", acceleration="tcg", tags=tags, disks=(NewDisk(path=str(image)),))
    )
    for _ in range(2):
        clones.make_template("web")
        assert hypervisor.inventory.instance("web").tags == {**tags, "hypersdk:template": "yes"}
    clones.clone("web", "one", linked=True)
    full = clones.clone("web", "full")
    assert full.tags == tags
    hypervisor.lifecycle.delete("one", disks=True)
    for _ in range(2):
        clones.unmake_template("web")
        assert hypervisor.inventory.instance("web").tags == tags
    hypervisor.lifecycle.start("web", paused=True)
    with pytest.raises(InvalidState, match="not stopped"):
        clones.make_template("web")


def test_cloud_init_takes_a_clone_for_new(
    lab: Lab, hypervisor: LibvirtHypervisor, clones: LibvirtClones
) -> None:
    hypervisor.lifecycle.create(
        InstanceSpec(
            name="web",
            acceleration="tcg",
            disks=(NewDisk(path=str(lab.folder / "a.qcow2"), size=MIB),),
            nics=(NicSpec(),),
            cloud_init=CloudInit(user_data="#!/bin/sh\n"),
        )
    )
    made = clones.clone("web", "copy")
    seed = pycdlib.PyCdlib()
    seed.open_fp(io.BytesIO((lab.folder / "copy-seed.iso").read_bytes()))
    content = io.BytesIO()
    seed.get_file_from_iso_fp(content, rr_path="/meta-data")
    seed.close()
    assert json.loads(content.getvalue()) == {"instance-id": made.id, "local-hostname": "copy"}
    hypervisor.lifecycle.delete("web", disks=True)
    hypervisor.lifecycle.start("copy", paused=True)
    hypervisor.lifecycle.stop("copy", force=True)
    hypervisor.lifecycle.delete("copy", disks=True)
    assert list(lab.folder.iterdir()) == []


def test_addresses_of_every_kind_are_new(lab: Lab, clones: LibvirtClones) -> None:
    source = domain_xml(
        "web", devices=["<vsock model='virtio'><cid auto='no' address='77'/></vsock>"]
    ).replace("<memory", "<genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid><memory", 1)
    uuid = lab.connection.defineXML(source).UUIDString()
    bios = f"<sysinfo type='smbios'><system><entry name='uuid'>{uuid}</entry>"
    bios += "<entry name='serial'>s1</entry><entry name='product'>p</entry></system></sysinfo>"
    lab.connection.defineXML(
        source.replace("<devices>", f"{bios}<devices>", 1).replace(
            "</name>", f"</name><uuid>{uuid}</uuid>", 1
        )
    )
    clones.clone("web", "copy")
    xml = xml_of(lab, "copy")
    assert xml.findtext("genid") not in {None, "", "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e"}
    cid = xml.find("devices/vsock/cid")
    assert cid is not None
    assert cid.get("auto") == "yes"
    entries = [entry.get("name") for entry in xml.iterfind("sysinfo/system/entry")]
    assert entries == ["product"]


def test_what_cannot_be_cloned_leaves_nothing(
    lab: Lab, hypervisor: LibvirtHypervisor, clones: LibvirtClones
) -> None:
    image = lab.image("a.qcow2", "1M")
    null = DiskSpec("/dev/null", "vdb", "raw", type="block")
    lab.connection.defineXML(domain_xml("web", [DiskSpec(image), null]))
    with pytest.raises(HypervisorError, match="/dev/null belongs to no storage pool"):
        clones.clone("web", "copy")
    with pytest.raises(HypervisorError, match="/dev/null"):
        clones.clone("web", "copy", linked=True)
    assert hypervisor.inventory.instance("web").tags == {}  # no template either
    assert [path.name for path in lab.folder.iterdir()] == ["a.qcow2"]
    with pytest.raises(AlreadyExists):
        clones.clone("web", "web")
    with pytest.raises(InstanceNotFound):
        clones.clone("nobody", "copy")
    with pytest.raises(InvalidInput):
        clones.clone("web", "a/b")
    assert [instance.name for instance in hypervisor.inventory.instances()] == ["web"]


def test_a_file_in_the_way_stays(lab: Lab, clones: LibvirtClones) -> None:
    lab.connection.defineXML(domain_xml("web", [DiskSpec(lab.image("a.qcow2", "1M"))]))
    (lab.folder / "copy-vda.qcow2").write_text("precious")
    for linked in (False, True):
        with pytest.raises(AlreadyExists):
            clones.clone("web", "copy", linked=linked)
    assert (lab.folder / "copy-vda.qcow2").read_text() == "precious"


def test_running_and_saved_instances_are_refused(
    lab: Lab, hypervisor: LibvirtHypervisor, clones: LibvirtClones
) -> None:
    domain = lab.connection.defineXML(domain_xml("web", [DiskSpec(lab.image("a.qcow2", "1M"))]))
    domain.create()
    for linked in (False, True):
        with pytest.raises(InvalidState, match="not stopped"):
            clones.clone("web", "copy", linked=linked)
    domain.managedSave()
    with pytest.raises(InvalidState, match="is saved"):
        clones.clone("web", "copy")
    assert [instance.name for instance in hypervisor.inventory.instances()] == ["web"]


def test_shared_disks_and_media_stay_common(lab: Lab, clones: LibvirtClones) -> None:
    shared = DiskSpec(lab.image("s.raw", "1M", format="raw"), "vdb", "raw", shareable=True)
    iso = lab.image("cd.iso", "1M", format="raw")
    disc = DiskSpec(iso, "sda", "raw", device="cdrom", bus="sata")
    lab.connection.defineXML(domain_xml("web", [shared, disc]))
    made = clones.clone("web", "copy")
    assert [disk.path for disk in made.disks] == [str(shared.path)]
    sources = [source.get("file") for source in xml_of(lab, "copy").iterfind("devices/disk/source")]
    assert sorted(filter(None, sources)) == sorted([str(shared.path), str(iso)])
