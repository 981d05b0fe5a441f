"""Profiles: options of an export kept under a name.

A profile sets what it names and nothing else: what it leaves out keeps the command's default, and
what a person types wins over both. A file holds one, in ``~/.config/hypersdk/profiles/NAME.toml``
(or ``.json``), readable by its owner only::

    description = "Nightly, off site"
    format = "ova"
    compress = true
    upload = "s3://backups/vmware"
    passphrase = "env:EXPORT_PASSPHRASE"

Secrets, and addresses that hold some, stand in it as references (`config.secrets`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from hypersdk.config.documents import read_document, toml_text, toml_value, write_privately
from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import AlreadyExists, Conflict, InvalidInput, NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SUFFIXES = (".toml", ".json")
#: Fields that say what a profile is, not what an export does.
_ABOUT = frozenset({"name", "description", "created", "modified", "tags"})
#: Fields of a chosen value that TOML can write, in any order.
_REFERENCES = ("passphrase", "webhook_url", "webhook_secret")


class Profile(BaseModel):
    """Options of an export. None: not set. Names are those of the options, ``_`` for ``-``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    description: str = ""
    #: UTC.
    created: datetime | None = None
    modified: datetime | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    format: Literal["ovf", "ova", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"] | None = None
    #: Folder of the export.
    output: str | None = None
    #: Disks at the same time.
    parallel: int | None = Field(default=None, ge=1, le=64)
    compress: bool | None = None
    compress_codec: Literal["gzip", "zstd", "lz4"] | None = None
    compress_level: int | None = Field(default=None, ge=0, le=22)
    checksum: Literal["sha256", "sha512", "blake3"] | None = None
    verify: bool | None = None
    power_off: bool | None = None
    #: From a snapshot that people see.
    snapshot: bool | None = None
    #: As on the command line: ``50``, ``64KiB/s``.
    bandwidth_limit: str | None = None
    #: URL of a place.
    upload: str | None = None
    keep_local: bool | None = None
    stream_upload: bool | None = None
    encrypt: bool | None = None
    #: Public keys of age.
    recipients: tuple[str, ...] | None = None
    #: Reference to the passphrase.
    passphrase: str | None = None
    manifest: bool | None = None
    manifest_target: Literal["qcow2", "raw", "vdi"] | None = None
    #: Hand over to hyper2kvm.
    pipeline: bool | None = None
    hyper2kvm_path: str | None = None
    stream_pipeline: bool | None = None
    #: As on the command line: ``720h``, ``30d``.
    cleanup_max_age: str | None = None
    cleanup_max_count: int | None = Field(default=None, ge=0)
    #: References to URLs of apprise.
    notify: tuple[str, ...] | None = None
    #: References to the URL of a webhook and to its secret.
    webhook_url: str | None = None
    webhook_secret: str | None = None

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("a name has letters, digits, '.', '_' and '-', 64 at most")
        return value

    @field_validator(*_REFERENCES)
    @classmethod
    def _reference_only(cls, value: str | None) -> str | None:
        if value is not None:
            _parse(value)
        return value

    @field_validator("notify")
    @classmethod
    def _references_only(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in value or ():
            _parse(each)
        return value

    @field_validator("upload")
    @classmethod
    def _without_secrets(cls, value: str | None) -> str | None:
        if value is not None and re.match(r"[\w+.-]+://[^/?#]*:[^/?#]*@", value):
            raise ValueError("the URL contains a password; leave it out")
        return value

    def settings(self) -> dict[str, Any]:
        """The options that it sets, by name."""
        fields = type(self).model_fields
        return {
            name: value
            for name in fields
            if name not in _ABOUT and (value := getattr(self, name)) is not None
        }


def _parse(value: str) -> None:
    try:
        SecretReference.parse(value)
    except InvalidInput as error:
        raise ValueError(f"{error.message}. {error.hint}") from None


#: There without any file; a file of the same name comes before.
BUILT_IN: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="quick-export",
            description="An OVF package, as fast as it goes",
            format="ovf",
            parallel=8,
        ),
        Profile(
            name="production-backup",
            description="One compressed archive, checked, with a manifest",
            format="ova",
            compress=True,
            verify=True,
            manifest=True,
        ),
        Profile(
            name="encrypted-backup",
            description="As production-backup, encrypted; name a recipient or a passphrase",
            format="ova",
            compress=True,
            verify=True,
            encrypt=True,
        ),
        Profile(
            name="cloud-backup",
            description="As production-backup, kept elsewhere only; name the place with --upload",
            format="ova",
            compress=True,
            verify=True,
            keep_local=False,
        ),
        Profile(
            name="development",
            description="An image per disk, ready for QEMU",
            format="qcow2",
            parallel=4,
        ),
        Profile(
            name="archive",
            description="One archive, small rather than soon, checked",
            format="ova",
            compress=True,
            compress_level=9,
            checksum="sha512",
            verify=True,
        ),
    )
}
#: What a person chooses from on the screen: title → name of a profile.
TEMPLATES: Mapping[str, str] = {
    "Quick Export": "quick-export",
    "Production Backup": "production-backup",
    "Development": "development",
    "Archive": "archive",
}


def profiles_folder() -> Path:
    """Where files of profiles are, whether it exists or not."""
    return platformdirs.user_config_path("hypersdk") / "profiles"


def list_profiles(folder: Path | None = None) -> tuple[Profile, ...]:
    """All of them by name, a person's own before built-in ones of the same name.

    Raises InvalidInput for a file that is none.
    """
    found = dict(BUILT_IN)
    for path in _files(folder or profiles_folder()):
        found[path.stem] = _read(path)
    return tuple(found[name] for name in sorted(found))


def load_profile(name: str, folder: Path | None = None) -> Profile:
    """The profile of this name, or of this template's title.

    Raises NotFound naming the nearest one, InvalidInput for a file that is none.
    """
    name = TEMPLATES.get(name, name)
    folder = folder or profiles_folder()
    files = {path.stem: path for path in _files(folder)}
    if name in files:
        return _read(files[name])
    if name in BUILT_IN:
        return BUILT_IN[name]
    known = sorted({*files, *BUILT_IN})
    near = get_close_matches(name, known, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise NotFound(
        f"there is no profile '{name}'", hint=f"{meant}The profiles are {', '.join(known)}."
    )


def make_profile(name: str, values: Mapping[str, Any]) -> Profile:
    """A profile of these fields. Raises InvalidInput naming the field that is wrong, and the
    nearest one that there is."""
    return _checked({**values, "name": name}, "")


def save_profile(
    profile: Profile,
    folder: Path | None = None,
    *,
    replace: bool = False,
    now: datetime | None = None,
) -> Path:
    """Write it to a file of its own. Raises AlreadyExists unless ``replace``."""
    folder = folder or profiles_folder()
    old = next((path for path in _files(folder) if path.stem == profile.name), None)
    if old is not None and not replace:
        raise _there(profile.name)
    now = now or datetime.now(UTC).replace(microsecond=0)
    stamped = profile.model_copy(update={"created": profile.created or now, "modified": now})
    path = folder / f"{profile.name}.toml"
    try:
        write_privately(path, _toml(stamped), replace=replace)
    except FileExistsError:
        raise _there(profile.name) from None
    if old is not None and old != path:
        old.unlink()
    return path


def delete_profile(name: str, folder: Path | None = None) -> None:
    """Remove its file. Raises NotFound, and Conflict for one that is built in."""
    folder = folder or profiles_folder()
    paths = [path for path in _files(folder) if path.stem == name]
    if not paths and name in BUILT_IN:
        raise Conflict(f"the profile '{name}' is built in", hint="It cannot be deleted.")
    if not paths:
        load_profile(name, folder)  # which tells which ones there are
    for path in paths:
        path.unlink()


def create_default_profiles(folder: Path | None = None) -> tuple[Path, ...]:
    """Write the built-in ones to files, to be changed; those that are there stay as they are."""
    folder = folder or profiles_folder()
    there = {path.stem for path in _files(folder)}
    return tuple(
        save_profile(profile, folder) for name, profile in BUILT_IN.items() if name not in there
    )


def _files(folder: Path) -> tuple[Path, ...]:
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InvalidInput(f"cannot read {folder}: {error.strerror}") from error
    return tuple(path for path in found if path.suffix in _SUFFIXES and _NAME.fullmatch(path.stem))


def _read(path: Path) -> Profile:
    document = read_document(path)
    name = document.setdefault("name", path.stem)
    if name != path.stem:
        raise InvalidInput(f"{path}: its name is '{name}'", hint="Call the file like the profile.")
    return _checked(document, f"{path}: ")


def _checked(values: Mapping[str, Any], where: str) -> Profile:
    try:
        # Through JSON: dates may be text, lists may stand for tuples.
        return Profile.model_validate_json(json.dumps(dict(values), default=_plainly))
    except TypeError:
        raise InvalidInput(f"{where}a profile holds text, numbers and lists only") from None
    except ValidationError as error:
        raise _invalid(error.errors(include_input=False, include_url=False)[0], where) from None


def _plainly(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(type(value).__name__)


def _invalid(problem: ErrorDetails, where: str) -> InvalidInput:
    """The error for a refused name or value. Never repeats the value: it may be a secret."""
    name = ".".join(str(each) for each in problem["loc"]) or "the profile"
    if problem["type"] != "extra_forbidden":
        said = problem["msg"].removeprefix("Value error, ")
        return InvalidInput(f"{where}{name}: {said}")
    known = sorted(Profile.model_fields)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}? " if near else ""
    return InvalidInput(
        f"{where}unknown field {name}", hint=f"{meant}The fields are {', '.join(known)}."
    )


def _toml(profile: Profile) -> str:
    lines = [f"description = {toml_text(profile.description)}"] if profile.description else []
    for name in ("created", "modified"):
        moment: datetime | None = getattr(profile, name)
        if moment is not None:
            lines.append(f"{name} = {moment.isoformat()}")
    lines += [f"{name} = {toml_value(value)}" for name, value in profile.settings().items()]
    if profile.tags:
        lines += ["", "[tags]"]
        lines += [f"{toml_text(name)} = {toml_text(value)}" for name, value in profile.tags.items()]
    return "\n".join(lines) + "\n"


def _there(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"there is a profile '{name}' already",
        hint=f"Choose another name, or delete it first: hyperexport --delete-profile {name}",
    )
