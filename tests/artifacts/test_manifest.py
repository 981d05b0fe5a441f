"""Every rule of the contract holds on reading and writing, and an error names its field."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.artifacts.manifest import (
    firmware_word,
    format_manifest,
    gibibytes,
    os_hint,
    parse_manifest,
    read_manifest,
    validated,
    verify_manifest,
    write_manifest,
)
from hypersdk.artifacts.manifestmodel import ArtifactManifest, Disk
from hypersdk.model.errors import Damaged, HyperSDKError, InvalidInput, NotFound

CONTENT = b"disk" * 1000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def document(**changes: Any) -> dict[str, Any]:
    """One with every field of the contract."""
    full: dict[str, Any] = {
        "manifest_version": "1.0",
        "source": {
            "provider": "vsphere",
            "vm_id": "vm-12",
            "vm_name": "web",
            "datacenter": "DC0",
            "export_timestamp": "2026-02-03T04:05:06Z",
            "export_method": "nfc",
        },
        "vm": {
            "cpu": 2,
            "mem_gb": 0.5,
            "firmware": "uefi",
            "secureboot": True,
            "os_hint": "linux",
            "os_version": "Debian 12",
        },
        "disks": [
            {
                "id": "scsi0-0",
                "source_format": "vmdk",
                "bytes": 1 << 30,
                "local_path": "web-disk-0.vmdk",
                "checksum": DIGEST,
                "boot_order_hint": 0,
                "label": "root",
                "disk_type": "boot",
            },
            {"id": "data", "source_format": "raw", "bytes": 0, "local_path": "data.raw"},
        ],
        "nics": [{"id": "nic0", "mac": "00:50:56:aa:bb:cc", "network": "VM Network"}],
        "notes": ["first"],
        "warnings": [{"stage": "export", "message": "slow", "timestamp": "2026-02-03T04:05:06Z"}],
        "metadata": {
            "hypersdk_version": "0.1.0",
            "job_id": "1",
            "created_at": "2026-02-03T04:05:06Z",
            "tags": {"site": "lab"},
        },
        "pipeline": {
            "inspect": {"enabled": True, "collect_guest_info": True},
            "fix": {
                "enabled": True,
                "backup": True,
                "print_fstab": False,
                "update_grub": True,
                "regen_initramfs": True,
                "fstab_mode": "bypath-only",
                "remove_vmware_tools": True,
            },
            "convert": {"enabled": True, "compress": True, "compress_level": 6},
            "validate": {"enabled": True, "check_image_integrity": True},
        },
        "configuration": {"hostname": "web", "users": [{"name": "a"}]},
        "output": {"directory": "/out", "format": "qcow2", "filename": "web.qcow2"},
        "options": {"dry_run": False, "verbose": 2, "report": {"enabled": True, "path": "r.json"}},
    }
    full.update(changes)
    return full


@pytest.mark.parametrize("name", ["artifact-manifest.json", "m.yaml", "m.yml"])
def test_all_fields_come_back(tmp_path: Path, name: str) -> None:
    manifest = validated(document())
    path = write_manifest(tmp_path / name, manifest)
    assert read_manifest(path) == manifest
    text = path.read_text()
    assert (yaml.safe_load(text) if "y" in path.suffix else json.loads(text))["pipeline"] == (
        document()["pipeline"]
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_zero_is_written_and_what_nobody_set_is_not() -> None:
    written = json.loads(format_manifest(validated(document())))
    assert written["disks"][0]["boot_order_hint"] == 0
    assert written["disks"][1] == document()["disks"][1]
    assert written == document()
    assert validated(document()).disks[1].boot_order_hint == 999


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("manifest_version", "2.0", "manifest_version"),
        ("disks", [], "disks"),
        ("disks", [{"id": "a b"}], "disks[0].id"),
        ("vm", {"firmware": "efi"}, "vm.firmware"),
        ("vm", {"cpu": "2"}, "vm.cpu"),
        ("vm", {"cpu": -1}, "vm.cpu"),
        ("vm", {"mem_gb": float("nan")}, "vm.mem_gb"),
        ("vm", {"os_hint": "bsd"}, "vm.os_hint"),
        ("vm", {"secureboot": "yes"}, "vm.secureboot"),
        ("source", {"export_timestamp": "yesterday"}, "source.export_timestamp"),
        ("nics", [{"id": "a", "mac": "00:50"}], "nics[0].mac"),
        ("options", {"verbose": 4}, "options.verbose"),
        ("output", {"format": "vmdk"}, "output.format"),
        ("pipeline", {"fix": {"fstab_mode": "guess"}}, "pipeline.fix.fstab_mode"),
        ("metadata", {"tags": {"a": 1}}, "metadata.tags.a"),
        ("notes", "text", "notes"),
    ],
)
def test_every_rule_names_its_field(field: str, value: Any, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validated(document(**{field: value}))
    assert f": {path}: " in caught.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("source_format", "qcow"),
        ("bytes", -1),
        ("bytes", True),
        ("bytes", 1.5),
        ("local_path", ""),
        ("local_path", "a\0b"),
        ("checksum", "sha256:" + "A" * 64),
        ("checksum", "md5:" + "0" * 32),
        ("checksum", DIGEST + "0"),
        ("boot_order_hint", -1),
        ("disk_type", "swap"),
    ],
)
def test_every_rule_of_disks(field: str, value: Any) -> None:
    disks = document()["disks"]
    disks[1] = {**disks[1], field: value}
    with pytest.raises(InvalidInput) as caught:
        validated(document(disks=disks))
    assert f"disks[1].{field}: " in caught.value.message


@pytest.mark.parametrize("field", ["id", "source_format", "bytes", "local_path"])
def test_what_is_required_of_disks(field: str) -> None:
    disk = document()["disks"][0]
    del disk[field]
    with pytest.raises(InvalidInput, match=rf"disks\[0\]\.{field}: is missing"):
        validated(document(disks=[disk]))


def test_ids_are_unique() -> None:
    disks = [document()["disks"][0]] * 2
    with pytest.raises(InvalidInput, match=r"disks\[1\]\.id: 'scsi0-0' is given twice"):
        validated(document(disks=disks))


@pytest.mark.parametrize(
    ("change", "path", "meant"),
    [
        ({"disk": []}, "disk", "disks"),
        ({"vm": {"memory_gb": 1}}, "vm.memory_gb", "mem_gb"),
        ({"pipeline": {"fix": {"fstab": "noop"}}}, "pipeline.fix.fstab", "fstab_mode"),
        ({"pipeline": {"validat": {}}}, "pipeline.validat", "validate"),
        ({"nics": [{"id": "a", "macc": ""}]}, "nics[0].macc", "mac"),
        ({"options": {"report": {"pth": ""}}}, "options.report.pth", "path"),
    ],
)
def test_unknown_fields_get_the_nearest_name(change: Any, path: str, meant: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validated(document(**change))
    assert f": {path}: there is no such field" in caught.value.message
    assert caught.value.hint == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "{",
        pytest.param("[" * 100_000, id="deep"),
        '{"manifest_version": "1.0", "manifest_version": "1.0"}',
        '{"manifest_version": "1.0", "disks": NaN}',
        "\xff",
    ],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    for yaml_ in (False, True):
        with pytest.raises(InvalidInput):
            parse_manifest(text.encode("latin-1"), yaml_=yaml_)


def test_aliases_do_not_become_gigabytes() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n"
    with pytest.raises(InvalidInput, match="aliases"):
        parse_manifest(text.encode(), yaml_=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_error(content: bytes, yaml_: bool) -> None:
    with pytest.raises(HyperSDKError):
        parse_manifest(content, yaml_=yaml_)


def test_disks_must_be_there_when_asked(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.json", validated(document()))
    read_manifest(path)
    (tmp_path / "web-disk-0.vmdk").write_bytes(CONTENT)
    with pytest.raises(InvalidInput, match=r"disks\[1\]\.local_path: there is no file"):
        read_manifest(path, files_exist=True)
    (tmp_path / "data.raw").touch()
    read_manifest(path, files_exist=True)
    with pytest.raises(NotFound):
        read_manifest(tmp_path / "other.json")


def test_disks_are_compared_with_their_checksums(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.json", validated(document()))
    (tmp_path / "web-disk-0.vmdk").write_bytes(CONTENT)
    with pytest.raises(Damaged, match=r"data\.raw"):
        verify_manifest(path)
    (tmp_path / "data.raw").touch()
    assert [each.size for each in verify_manifest(path)] == [len(CONTENT)]
    (tmp_path / "web-disk-0.vmdk").write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(Damaged, match=r"web-disk-0\.vmdk"):
        verify_manifest(path)


def test_records_made_in_python_are_checked_too() -> None:
    disk = Disk(id="a", source_format="raw", bytes=1, local_path="a.raw", boot_order_hint=0)
    made = ArtifactManifest(manifest_version="1.0", disks=(disk,))
    assert parse_manifest(format_manifest(made).encode()) == made
    assert '"boot_order_hint": 0' in format_manifest(made)


def test_words_of_hypervisors() -> None:
    assert [firmware_word(each) for each in ("efi", "UEFI", "bios", "", "x")] == [
        "uefi", "uefi", "bios", "unknown", "unknown",
    ]  # fmt: skip
    hints = {"ubuntu64Guest": "linux", "rhel8_64Guest": "linux", "windows9Server64Guest": "windows",
             "winNetStandardGuest": "windows", "darwin19_64Guest": "unknown",
             "freebsd12_64Guest": "unknown", "": "unknown"}  # fmt: skip
    assert {each: os_hint(each) for each in hints} == hints
    assert [gibibytes(each << 20) for each in (512, 1024, 3584)] == [0.5, 1, 3.5]
