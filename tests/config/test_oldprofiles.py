from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypersdk.config.oldprofiles import OldProfile, old_profiles_folder, read_old_profile
from hypersdk.model.errors import InvalidInput

#: As the original writes one.
CLOUD: dict[str, Any] = {
    "name": "cloud",
    "description": "Off site",
    "created": "2026-02-02T10:00:00.123456789+01:00",
    "modified": "0001-01-01T00:00:00Z",
    "format": "ova",
    "compress": True,
    "verify": True,
    "power_off": False,
    "parallel": 4,
    "cleanup_ovf": True,
    "upload_to": "s3://backups/vms",
    "keep_local": False,
    "encrypt": True,
    "encrypt_method": "aes256",
    "gpg_recipient": "",
    "validate_only": False,
    "generate_manifest": True,
    "verify_manifest": True,
    "manifest_checksum": True,
    "manifest_target_format": "qcow2",
    "auto_convert": True,
    "hyper2kvm_binary": "/usr/bin/hyper2kvm",
    "stream_conversion": True,
    "retention_days": 30,
    "retention_count": 7,
    "notify_email": "ops@example.org",
    "tags": ["prod"],
}


def read(folder: Path, document: Any) -> OldProfile:
    path = folder / "cloud.json"
    path.write_text(json.dumps(document))
    return read_old_profile(path)


def test_taken_over(tmp_path: Path) -> None:
    old = read(tmp_path, CLOUD)
    assert old.profile.name == "cloud"
    assert old.profile.created is not None
    assert old.profile.modified is None
    assert old.profile.tags == {"prod": ""}
    assert old.profile.settings() == {
        "format": "ova",
        "parallel": 4,
        "compress": True,
        "verify": True,
        "upload": "s3://backups/vms",
        "encrypt": True,
        "manifest": True,
        "manifest_target": "qcow2",
        "pipeline": True,
        "hyper2kvm_path": "/usr/bin/hyper2kvm",
        "stream_pipeline": True,
        "cleanup_max_age": "30d",
        "cleanup_max_count": 7,
    }
    assert [each.partition(":")[0] for each in old.left_out] == [
        "cleanup_ovf", "encrypt_method", "verify_manifest", "manifest_checksum", "notify_email"
    ]  # fmt: skip


def test_false_says_nothing(tmp_path: Path) -> None:
    assert (
        read(tmp_path, {"name": "x", "keep_local": False, "parallel": 0}).profile.settings() == {}
    )


@pytest.mark.parametrize("document", [{"formt": "ova"}, [], {"format": "iso"}, {"name": "../x"}])
def test_what_is_none(tmp_path: Path, document: Any) -> None:
    with pytest.raises(InvalidInput):
        read(tmp_path, document)


def test_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert old_profiles_folder() == tmp_path / ".hyperexport" / "profiles"
