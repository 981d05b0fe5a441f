from __future__ import annotations

import pytest

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.marks import Marks
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import Disk, InstanceState
from hypersdk.model.units import GIB, KIB, MIB

DOMAIN = """<domain type='kvm'>
  <name>wéb &amp; co</name><uuid>7831d565-30db-464d-bca0-d045b03d0654</uuid>
  <memory unit='GiB'>2</memory><currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static' current='2'>4</vcpu>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/a &lt;b&gt;.qcow2'/><target dev='vda'/>
    </disk>
    <disk type='block' device='lun'><source dev='/dev/sdx'/><target dev='sda'/></disk>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      <source protocol='rbd' name='pool/image'/><target dev='vdb'/>
    </disk>
    <disk type='volume' device='disk'>
      <driver type='raw'/><source pool='p' volume='v'/><target dev='vdc'/>
    </disk>
    <disk type='file' device='cdrom'><source file='/cd.iso'/><target dev='sdb'/></disk>
    <disk type='file' device='floppy'><target dev='fda'/></disk>
  </devices>
</domain>"""


def test_a_domain_is_an_instance() -> None:
    devices = [("vda", "/a <b>.qcow2", GIB), ("vdc", "/pool/v", MIB), ("sdb", "/cd.iso", 5)]
    found = translate.instance(translate.parsed(DOMAIN), 1, devices)
    assert (found.id, found.name) == ("7831d565-30db-464d-bca0-d045b03d0654", "wéb & co")
    assert (found.state, found.vcpus, found.memory) == (InstanceState.RUNNING, 2, GIB)
    assert found.disks == (
        Disk("vda", GIB, "qcow2", "/a <b>.qcow2"),
        Disk("sda", 0, "raw", "/dev/sdx"),
        Disk("vdb", 0, "raw", ""),
        Disk("vdc", MIB, "raw", "/pool/v"),
    )


def test_a_record_of_statistics_is_an_instance_in_brief() -> None:
    record = {
        "state.state": 3,
        "vcpu.current": 2,
        "balloon.current": 1024,
        "block.count": 4,
        "block.0.name": "vda",
        "block.0.path": "/a.qcow2",
        "block.0.capacity": GIB,
        "block.1.name": "sda",  # an empty drive
        "block.2.name": "sdb",
        "block.2.path": "/CD.ISO",
        "block.3.name": "vdb",  # its image is missing
        "block.3.path": "/b.raw",
    }
    noted = Marks(made=True, folder="prod/web", tags={"a": "b"})
    found = translate.listed("id", "web", record, translate.block_devices(record), noted)
    assert (found.state, found.vcpus, found.memory) == (InstanceState.PAUSED, 2, MIB)
    assert (found.tags, found.owned, found.folder) == ({"a": "b"}, True, "prod/web")
    assert found.disks == (Disk("vda", GIB, "", "/a.qcow2"), Disk("vdb", 0, "", "/b.raw"))
    bare = translate.listed("id", "web", {}, (), Marks())
    assert (bare.state, bare.vcpus, bare.memory, bare.disks) == (InstanceState.UNKNOWN, 0, 0, ())


@pytest.mark.parametrize(
    ("xml", "bytes"),
    [
        ("<memory>2</memory>", 2 * KIB),
        ("<memory unit='bytes'>2</memory>", 2),
        ("<memory unit='b'>2</memory>", 2),
        ("<memory unit='KB'>2</memory>", 2000),
        ("<memory unit='G'>2</memory>", 2 * GIB),
        ("<memory/>", 0),
    ],
)
def test_sizes_have_units(xml: str, bytes: int) -> None:
    assert translate.size(translate.parsed(xml)) == bytes


def test_a_size_that_is_not_there_is_zero() -> None:
    assert translate.size(None) == 0


def test_every_state_is_known() -> None:
    words = [translate.state(number).value for number in range(9)]
    assert words == [
        "unknown",
        "running",
        "running",
        "paused",
        "running",
        "stopped",
        "crashed",
        "paused",
        "unknown",
    ]


@pytest.mark.parametrize("xml", ["", "<domain>", "no xml"])
def test_what_is_not_xml_is_refused(xml: str) -> None:
    with pytest.raises(HypervisorError, match="XML"):
        translate.parsed(xml)


@pytest.mark.parametrize(
    ("xml", "format"),
    [
        ("<volume><target><format type='qcow2'/></target></volume>", "qcow2"),
        ("<volume><target><format type='unknown'/></target></volume>", "raw"),
        ("<volume><target/></volume>", "raw"),
    ],
)
def test_format_of_a_volume(xml: str, format: str) -> None:
    assert translate.volume_format(translate.parsed(xml)) == format
