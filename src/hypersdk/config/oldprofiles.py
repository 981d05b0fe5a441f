"""Profiles of the original hyperexport: ``~/.hyperexport/profiles/NAME.json``.

Its files hold every field, so ``false`` and empty text say nothing: they are taken for "not set".
What has no counterpart is left out, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypersdk.config.documents import read_document
from hypersdk.config.profiles import Profile, make_profile
from hypersdk.model.errors import InvalidInput

#: Its field → ours.
_FIELDS: Mapping[str, str] = {
    "description": "description",
    "created": "created",
    "modified": "modified",
    "format": "format",
    "compress": "compress",
    "verify": "verify",
    "power_off": "power_off",
    "parallel": "parallel",
    "upload_to": "upload",
    "keep_local": "keep_local",
    "encrypt": "encrypt",
    "generate_manifest": "manifest",
    "manifest_target_format": "manifest_target",
    "auto_convert": "pipeline",
    "hyper2kvm_binary": "hyper2kvm_path",
    "stream_conversion": "stream_pipeline",
    "retention_count": "cleanup_max_count",
}
#: Fields that are gone, and why.
_GONE: Mapping[str, str] = {
    "cleanup_ovf": "an OVA is written without files beside it",
    "encrypt_method": "files are encrypted in the format of age",
    "gpg_recipient": "name a public key of age instead: recipients",
    "validate_only": "it is asked for on the command line",
    "verify_manifest": "manifests are always checked",
    "manifest_checksum": "manifests always have checksums",
    "notify_email": "name a reference to a URL of apprise instead: notify",
    "notify_slack": "name a reference to a URL of apprise instead: notify",
    "notify_discord": "name a reference to a URL of apprise instead: notify",
}


@dataclass(frozen=True, slots=True)
class OldProfile:
    """A profile, and what of it could not be taken over: a sentence each."""

    profile: Profile
    left_out: tuple[str, ...]


def old_profiles_folder() -> Path:
    """Where the original keeps them, whether it exists or not."""
    return Path.home() / ".hyperexport" / "profiles"


def read_old_profile(path: Path) -> OldProfile:
    """Raises InvalidInput for a file that is none, or has fields that the original never had."""
    found = {name: value for name, value in read_document(path).items() if _says(value)}
    name = str(found.pop("name", path.stem))
    values: dict[str, Any] = {}
    left_out: list[str] = []
    for field, value in found.items():
        if field in _FIELDS:
            values[_FIELDS[field]] = value
        elif field == "retention_days":
            values["cleanup_max_age"] = f"{value}d"
        elif field == "tags":
            values["tags"] = value if isinstance(value, dict) else dict.fromkeys(value, "")
        elif field in _GONE:
            left_out.append(f"{field}: {_GONE[field]}")
        else:
            raise InvalidInput(f"{path}: {field} is no field of an old profile")
    return OldProfile(make_profile(name, values), tuple(left_out))


def _says(value: object) -> bool:
    return bool(value) and not str(value).startswith("0001-01-01")  # Go's moment that was not set
