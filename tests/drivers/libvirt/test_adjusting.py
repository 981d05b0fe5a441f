from __future__ import annotations

import json
from xml.etree.ElementTree import Element, tostring

import pytest

from hypersdk.drivers.libvirt import adjusting
from hypersdk.drivers.libvirt.adjusting import SavedDomain
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.errors import Damaged, InvalidInput
from hypersdk.model.instances import Definition

DOMAIN = """
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name><uuid>9d1f0a0e-6a53-4b39-8a76-2f0b6f5c1a01</uuid>
  <genid>9d1f0a0e-6a53-4b39-8a76-2f0b6f5c1a01</genid>
  <sysinfo type='smbios'><system><entry name='uuid'>9d1f0a0e</entry>
    <entry name='serial'>7</entry></system></sysinfo>
  <os><nvram template='/t'>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'>
        <metadata_cache><max_size>1</max_size></metadata_cache></driver>
      <source file='/old/a.qcow2' index='1'/><backingStore type='file'/><alias name='x'/>
      <target dev='vda' bus='virtio'/><boot order='1'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/x'/>
      <target dev='vdb' bus='virtio'/></disk>
    <disk type='volume' device='disk'><source pool='p' volume='v'/>
      <target dev='vdc' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><source file='/iso'/><target dev='sda' bus='sata'/></disk>
    <disk type='network' device='cdrom'><source protocol='https' name='x'/>
      <target dev='sdb' bus='sata'/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/>
      <model type='virtio'/><target dev='vnet7'/><bandwidth/></interface>
    <interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>
    <serial type='tcp'><source mode='bind' host='0.0.0.0' service='1'/><protocol type='raw'/>
      <target port='0'/></serial>
    <console type='file'><source path='/log'/></console>
    <parallel type='dev'/><smartcard mode='host'/><lease/><vsock/><shmem name='x'/>
    <filesystem type='mount'/><hostdev mode='subsystem'/><redirdev bus='usb'/>
    <channel type='unix'><source mode='bind'
        path='/run/libvirt/qemu/channel/target/domain-1-web/x'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='unix'><source mode='bind' path='/host/socket'/>
      <target type='virtio' name='org.example'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <memory model='nvdimm'><source><path>/nvdimm</path></source></memory>
    <memory model='dimm'/>
    <tpm><backend type='passthrough'/></tpm><tpm><backend type='emulator'/></tpm>
    <rng><backend model='egd'/></rng><rng><backend model='random'/></rng>
    <graphics type='vnc' port='5900' passwd='secret' listen='0.0.0.0'><listen/></graphics>
    <graphics type='egl-headless'/>
  </devices>
  <qemu:commandline><qemu:arg value='-netdev'/></qemu:commandline>
</domain>
"""


@pytest.fixture
def xml() -> Element:
    return parsed(DOMAIN)


def attributes(xml: Element, path: str, name: str) -> list[str | None]:
    return [element.get(name) for element in xml.iterfind(path)]


def test_saved_domain() -> None:
    content = json.dumps({"inactive": DOMAIN, "live": None, "autostart": True})
    saved = SavedDomain.of(Definition("libvirt", content.encode()))
    assert (saved.name, saved.uuid) == ("web", "9d1f0a0e-6a53-4b39-8a76-2f0b6f5c1a01")
    assert saved.autostart


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"inactive": 7}', b"\xff"])
def test_definition_that_cannot_be_read(content: bytes) -> None:
    with pytest.raises(Damaged):
        SavedDomain.of(Definition("libvirt", content))


def test_definition_of_another_kind() -> None:
    with pytest.raises(InvalidInput, match="kind 'vmx'"):
        SavedDomain.of(Definition("vmx", b""))


def test_new_identity(xml: Element) -> None:
    adjusting.rename(xml, "a&b", "")
    assert xml.findtext("name") == "a&b"
    assert xml.find("uuid") is None
    assert attributes(xml, "sysinfo/system/entry", "name") == ["serial"]
    assert xml.findtext("genid") == ""


def test_kept_identity(xml: Element) -> None:
    adjusting.rename(xml, "web", "9d1f0a0e-6a53-4b39-8a76-2f0b6f5c1a01")
    assert attributes(xml, "sysinfo/system/entry", "name") == ["uuid", "serial"]
    assert xml.findtext("genid") == ""  # it was taken back in time all the same


def test_disks_get_their_places(xml: Element) -> None:
    places = {"vda": ("/new/a b.img", "raw", False), "vdc": ("/dev/vg/x", "raw", True)}
    assert adjusting.place_disks(xml, places) == ["vdb"]
    first, second, *drives = xml.findall("devices/disk")
    assert [child.tag for child in first] == ["source", "driver", "target", "boot"]
    assert first.find("source[@file='/new/a b.img']") is not None
    assert first.find("source[@index]") is None
    driver = first.find("driver[@type='raw'][@cache='none']")
    assert driver is not None
    assert list(driver) == []
    assert second.get("type") == "block"
    assert [drive.get("device") for drive in drives] == ["cdrom", "cdrom"]


def test_media_may_be_missing(xml: Element) -> None:
    adjusting.media_may_be_missing(xml)
    policies = attributes(xml, "devices/disk/source", "startupPolicy")
    assert policies == [None, None, None, "optional", None]


def test_where_disks_were(xml: Element) -> None:
    found = {name: element for _, element, name in adjusting.disk_elements(xml)}
    assert adjusting.source_path(found["vda"]) == "/old/a.qcow2"
    assert adjusting.source_path(found["vdc"]) == ""
    assert adjusting.volume(found["vdc"]) == ("p", "v")
    assert adjusting.volume(found["vda"]) == ("", "")


def test_new_mac_addresses(xml: Element) -> None:
    adjusting.new_macs(xml)
    found = attributes(xml, "devices/interface/mac", "address")
    assert len(set(found)) == 2
    assert all(mac and mac.startswith("52:54:00:") for mac in found)
    assert "52:54:00:00:00:01" not in found


def test_networks_are_mapped(xml: Element) -> None:
    mapping = {"lan": "dmz", "br0": "br1", "vnet7": "x"}
    assert list(adjusting.connect_nics(xml, mapping)) == [("network", "dmz"), ("bridge", "br1")]


def test_isolated(xml: Element) -> None:
    adjusting.isolate(xml)
    devices = xml.find("devices")
    assert devices is not None
    assert sorted(child.tag for child in devices) == sorted(
        ["disk"] * 3  # without those of the network
        + ["interface"] * 2
        + ["serial", "console", "channel", "memory", "tpm", "rng", "graphics"]
    )
    for nic in devices.iterfind("interface"):
        assert nic.get("type") == "user"
        assert nic.find("link[@state='down']") is not None
        assert nic.find("source") is None
        assert nic.find("target") is None
    assert attributes(xml, "devices/interface/mac", "address")[0] == "52:54:00:00:00:01"
    assert attributes(xml, "devices/serial", "type") == ["pty"]
    assert attributes(xml, "devices/console", "type") == ["pty"]
    assert xml.find("devices/serial/source") is None
    assert xml.find("devices/channel/source") is None
    assert attributes(xml, "devices/tpm/backend", "type") == ["emulator"]
    assert attributes(xml, "devices/graphics", "listen") == ["127.0.0.1"]
    assert "secret" not in tostring(xml, encoding="unicode")
    assert "-netdev" not in tostring(xml, encoding="unicode")


def test_sockets_of_a_run_are_forgotten(xml: Element) -> None:
    adjusting.forget_run_paths(xml)
    assert attributes(xml, "devices/channel/source", "path") == ["/host/socket"]


def test_boot_files(xml: Element) -> None:
    adjusting.set_boot_file(xml, "kernel", "/k")
    assert xml.findtext("os/kernel") == "/k"
    adjusting.forget_nvram(xml)
    assert xml.findtext("os/nvram") == ""
    assert attributes(xml, "os/nvram", "template") == ["/t"]
