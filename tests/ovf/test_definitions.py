from __future__ import annotations

import json

import pytest

from hypersdk.ovf.definitions import read_definition

DOMAIN = """
<domain type='qemu'><name>web</name><description>a server</description>
 <os firmware='efi'><loader readonly='yes' type='pflash' secure='yes'>/x</loader></os>
 <devices>
  <disk type='file' device='disk'><target dev='vda' bus='virtio'/><boot order='2'/></disk>
  <disk type='file' device='disk'><target dev='sda' bus='sata'/><boot order='1'/></disk>
  <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>
  <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/>
   <model type='virtio'/></interface>
  <interface type='user'/>
 </devices>
</domain>
"""


def test_a_domain_of_libvirt() -> None:
    content = json.dumps({"inactive": DOMAIN, "live": None, "autostart": False}).encode()
    found = read_definition("libvirt", content)
    assert found is not None
    assert (found.firmware, found.secure_boot, found.description) == ("uefi", True, "a server")
    assert found.buses == {"vda": "virtio", "sda": "sata"}
    assert found.boot_order == {"vda": 1, "sda": 0}
    assert [(nic.network, nic.model) for nic in found.nics] == [("lan", "virtio"), ("user", "")]


def test_a_machine_without_libvirt() -> None:
    content = {
        "disks": [{"name": "vda", "bus": "scsi"}],
        "nics": [{"mac": "52:54:00:00:00:01", "model": "e1000"}],
    }
    found = read_definition("qmp", json.dumps(content).encode())
    assert found is not None
    assert (found.buses, found.nics[0].network) == ({"vda": "scsi"}, "user")


@pytest.mark.parametrize("kind", ["libvirt", "qmp", "mock-json", "docker-json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"inactive": "<domain><a>"}', b'{"disks": 1}', b"\xff"]
)
def test_what_makes_no_sense_says_nothing(kind: str, content: bytes) -> None:
    assert read_definition(kind, content) is None
