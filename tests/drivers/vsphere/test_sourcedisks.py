"""Tokens name one moment of one disk, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import replace

from hypersdk.drivers.vsphere.sourcedisks import SourceDisk, Token, why_full
from hypersdk.model.instances import Disk

DISK = SourceDisk(
    disk=Disk("scsi0-0", 1 << 20, "vmdk", "[ds] web/web.vmdk"),
    key=2000,
    place="ParaVirtualSCSIController0:0",
    uuid="6000c29f-62a1",
    change_id="52 de c0/7",
    mode="persistent",
    backing="file",
    shared=False,
    thin=True,
)


def test_a_token_comes_back() -> None:
    token = Token.of(DISK)
    assert token is not None
    assert why_full(DISK, {"scsi0-0": str(token)}) == token
    assert "6000c29f" not in str(token)


def test_a_damaged_token_is_none() -> None:
    text = str(Token.of(DISK))
    for damaged in (text[:-1], text + "0", text.swapcase(), "", "qmp:{}", text.replace("/7", "/6")):
        assert Token.parse(damaged) is None


def test_another_disk_is_read_in_full() -> None:
    known = {"scsi0-0": str(Token.of(DISK))}
    assert "replaced" in str(why_full(replace(DISK, uuid="6000c29f-ffff"), known))
    grown = replace(DISK, disk=replace(DISK.disk, size=2 << 20))
    assert "resized" in str(why_full(grown, known))
    assert "tracking is off" in str(why_full(replace(DISK, change_id=""), known))


def test_without_a_record_there_is_no_token() -> None:
    assert Token.of(replace(DISK, change_id="")) is None
    assert Token.of(replace(DISK, uuid="")) is None


def test_what_no_snapshot_holds_is_refused() -> None:
    independent = replace(DISK, mode="independent_persistent")
    assert "independent" in independent.problem(snapshot=True)
    assert not independent.problem(snapshot=False)
    assert "physical" in replace(DISK, backing="rdm-physical").problem(snapshot=False)
    assert "share" in replace(DISK, shared=True).problem(snapshot=True)
