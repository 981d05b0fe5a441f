"""What the hypervisor told stands in the manifest, in the contract's words."""

from __future__ import annotations

import pytest

from hypersdk.artifacts.checksums import Checksum
from hypersdk.artifacts.describing import ExportedDisk, describe, disk_id
from hypersdk.artifacts.manifest import format_manifest, parse_manifest
from hypersdk.model.details import GuestDetails, InstanceDetails, NicDetails
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Instance, InstanceState

DETAILS = InstanceDetails(
    instance=Instance("u-1", "web", InstanceState.RUNNING, 2, 1536 << 20),
    datacenter="DC0",
    firmware="efi",
    secure_boot=True,
    nics=(NicDetails(name="nic0", mac="00:50:56:01:02:03", network="VM Network"),),
    guest=GuestDetails(os="Ubuntu Linux (64-bit)", os_id="ubuntu64Guest"),
)
DISKS = (
    ExportedDisk(name="scsi0-0", format="vmdk", size=1 << 30, path="web-disk-0.vmdk",
                 checksum=Checksum("web-disk-0.vmdk", "sha256", "0" * 64), boot_order=0),
    ExportedDisk(name="scsi0:1 (data)", format="vmdk", size=2 << 30, path="web-disk-1.vmdk",
                 checksum=Checksum("web-disk-1.vmdk", "blake3", "0" * 64)),
)  # fmt: skip


def test_a_manifest_tells_what_is_known() -> None:
    made = describe(DETAILS, DISKS, provider="vsphere", method="nfc", tags={"site": "lab"},
                    warnings=["one"], sections={"output": {"format": "raw"}})  # fmt: skip
    assert parse_manifest(format_manifest(made).encode()) == made
    assert made.vm is not None
    assert (made.vm.firmware, made.vm.mem_gb, made.vm.os_hint) == ("uefi", 1.5, "linux")
    assert [nic.mac for nic in made.nics] == ["00:50:56:01:02:03"]
    assert [disk.id for disk in made.disks] == ["scsi0-0", "scsi0-1-data"]
    assert made.disks[0].boot_order_hint == 0
    assert made.disks[0].checksum
    assert made.disks[1].checksum == ""
    assert made.disks[1].disk_type == "unknown"
    assert '"boot_order_hint": 0' in format_manifest(made)
    assert made.source is not None
    assert made.source.export_timestamp is not None
    assert made.source.export_timestamp.tzinfo is not None


def test_what_is_not_known_is_not_guessed() -> None:
    bare = InstanceDetails(instance=Instance("1", "web", InstanceState.STOPPED, 0, 0))
    made = describe(bare, DISKS[:1], provider="qmp")
    assert made.vm is not None
    assert (made.vm.firmware, made.vm.os_hint) == ("unknown", "unknown")
    assert made.nics == ()


def test_sections_are_checked() -> None:
    with pytest.raises(InvalidInput, match=r"pipeline\.fix\.fstab_mode"):
        describe(DETAILS, DISKS, provider="x", sections={"pipeline": {"fix": {"fstab_mode": ""}}})
    with pytest.raises(InvalidInput, match="'disks'"):
        describe(DETAILS, DISKS, provider="x", sections={"disks": []})


def test_ids_fit_the_contract() -> None:
    assert [disk_id(name, 3) for name in ("vda", "a/b c", "äöü", "")] == [
        "vda", "a-b-c", "disk-3", "disk-3",
    ]  # fmt: skip
