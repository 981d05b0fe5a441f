"""Artifact Manifest v1.0, read, written and compared with the files it names; JSON or YAML.

Every rule of the contract is checked on reading and on writing, and an error names the field:
``disks[1].checksum``. Unknown fields are refused with the nearest name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hypersdk.artifacts.checksums import Checksum
from hypersdk.artifacts.manifestmodel import ArtifactManifest
from hypersdk.artifacts.newfile import opened, write_file
from hypersdk.artifacts.streams import Told, ignore
from hypersdk.artifacts.verifying import VerifiedFile, verify_files
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Damaged, InvalidInput
from hypersdk.model.progress import Reporter, silent

FILE_NAME = "artifact-manifest.json"
_YAML = {".yaml", ".yml"}
#: Bytes; a manifest of a hundred disks has a tenth of it.
_MOST = 4 << 20


def read_manifest(path: Path, *, files_exist: bool = False) -> ArtifactManifest:
    """A manifest in a file, YAML by the ending ``.yaml`` or ``.yml``, else JSON.

    ``files_exist``: every ``local_path`` must be there. Raises NotFound, InvalidInput.
    """
    with opened(path) as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise InvalidInput(f"{path} is too long for a manifest")
    manifest = parse_manifest(content, yaml_=path.suffix.lower() in _YAML, name=str(path))
    if files_exist:
        check_files_exist(manifest, path.parent)
    return manifest


def parse_manifest(
    content: bytes, *, yaml_: bool = False, name: str = "the manifest"
) -> ArtifactManifest:
    """A manifest from text. Raises InvalidInput naming the field."""
    return validated(_parsed(content, yaml_, name), name)


def validated(document: Any, name: str = "the manifest") -> ArtifactManifest:
    """A manifest from dictionaries and lists. Raises InvalidInput naming the field."""
    try:
        return ArtifactManifest.model_validate(document, by_alias=True)
    except ValidationError as error:
        details = error.errors(include_input=True, include_url=False)
        # An unknown field first: it is often the reason why another is missing.
        details.sort(key=lambda each: each["type"] != "extra_forbidden")
        raise _invalid(details[0], name) from None


def write_manifest(path: Path, manifest: ArtifactManifest, *, overwrite: bool = True) -> Path:
    """Write a manifest in the form that the file's name says; returns the path."""
    yaml_ = path.suffix.lower() in _YAML
    write_file(path, format_manifest(manifest, yaml_=yaml_).encode(), overwrite=overwrite)
    return path


def format_manifest(manifest: ArtifactManifest, *, yaml_: bool = False) -> str:
    """As text. Fields that nobody set are left out; what was set stays, also where it is 0."""
    document = manifest.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude_none=True
    )
    if yaml_:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def check_files_exist(manifest: ArtifactManifest, folder: Path) -> None:
    """Raises InvalidInput for a disk whose file is not there."""
    for number, disk in enumerate(manifest.disks):
        if not (folder / disk.local_path).is_file():
            raise InvalidInput(
                f"disks[{number}].local_path: there is no file {folder / disk.local_path}",
                hint="Move the manifest beside its disks, or correct the path.",
            )


def verify_manifest(
    path: Path,
    *,
    parallel: int = 0,
    reporter: Reporter = silent,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> tuple[VerifiedFile, ...]:
    """Read every disk of a manifest again and compare it with its checksum.

    Disks without one are only looked for. Raises InvalidInput, Damaged naming the files.
    """
    manifest = read_manifest(path)
    absent = [disk for disk in manifest.disks if not (path.parent / disk.local_path).is_file()]
    if absent:
        raise Damaged(
            f"{path} names {absent[0].local_path}, which is not there",
            hint="Fetch or make it again; the manifest was written when it was complete.",
        )
    wanted = [
        Checksum(disk.local_path, "sha256", disk.checksum.removeprefix("sha256:"))
        for disk in manifest.disks
        if disk.checksum
    ]
    return verify_files(
        path.parent, wanted, parallel=parallel, reporter=reporter, pace=pace, cancel=cancel
    )


def firmware_word(firmware: str) -> str:
    """The contract's word for a hypervisor's: vSphere says ``efi`` where it wants ``uefi``."""
    word = firmware.strip().lower()
    if word in {"efi", "uefi"}:
        return "uefi"
    return "bios" if word == "bios" else "unknown"


def os_hint(guest_os: str) -> str:
    """``linux``, ``windows`` or ``unknown``, by a hypervisor's name of the guest system."""
    word = guest_os.lower()
    if word.startswith("win") or "windows" in word:
        return "windows"
    return "linux" if any(each in word for each in _LINUX) else "unknown"


#: Parts of vSphere's, libosinfo's and CIM's names of Linux systems.
_LINUX = (
    "linux", "ubuntu", "debian", "rhel", "redhat", "red hat", "centos", "fedora", "sles", "suse",
    "oracle", "rocky", "alma", "amazon", "photon", "coreos", "gentoo", "arch", "mandr", "asianux",
    "vmwarephoton", "crxpod", "alpine", "kali",
)  # fmt: skip


def gibibytes(count: int) -> float | int:
    """Memory in bytes as ``mem_gb``: whole where it is, never cut (512 MiB are 0.5)."""
    amount = count / (1 << 30)
    return int(amount) if amount.is_integer() else round(amount, 6)


def now() -> datetime:
    """For timestamps of manifests."""
    return datetime.now(UTC).replace(microsecond=0)


class _StrictLoader(yaml.SafeLoader):
    """Refuses aliases, by which a few lines become gigabytes, and names given twice. Times stay
    text, as they are in JSON."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed in manifests")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.MarkedYAMLError(problem=f"'{name}' is given twice")
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    letter: [(tag, form) for tag, form in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(content: bytes, yaml_: bool, name: str) -> Any:
    try:
        text = content.decode()
        if yaml_:
            return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
        return json.loads(text, object_pairs_hook=_unique)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is nested too deeply"
        raise InvalidInput(f"{name} cannot be read: {reason}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(each for each in names if names.count(each) > 1)
        raise ValueError(f"'{twice}' is given twice")
    return found


def _invalid(detail: ErrorDetails, name: str) -> InvalidInput:
    path = _path(detail["loc"])
    if detail["type"] == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        near = get_close_matches(unknown, _fields(detail["loc"][:-1]), n=1)
        hint = f"Did you mean {near[0]}?" if near else "The fields are in docs/artifacts.md."
        return InvalidInput(f"{name}: {path[:200]}: there is no such field", hint=hint)
    if detail["type"] == "missing":
        return InvalidInput(f"{name}: {path}: is missing", hint="The contract requires this field.")
    reason = detail["msg"].removeprefix("Value error, ")
    if reason.startswith("["):  # the validator of a list says which item
        item, _, reason = reason.partition(": ")
        path += item
    shown = detail["input"]
    found = f", found {shown!r:.60}" if isinstance(shown, str | int | float) else ""
    return InvalidInput(f"{name}: {path or 'it'}: {_lower(reason)}{found}")


def _path(location: Sequence[int | str]) -> str:
    """``("disks", 1, "id")`` → ``disks[1].id``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _fields(location: Sequence[int | str]) -> list[str]:
    """Names of the fields of the record at a place in a manifest."""
    record: Any = ArtifactManifest
    for step in location:
        if isinstance(step, str) and _is_record(record):
            record = _record_in(_by_name(record).get(step))
    return list(_by_name(record)) if _is_record(record) else []


def _by_name(record: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in record.model_fields.items()}


def _record_in(annotation: Any) -> Any:
    """The record in ``X | None`` and ``tuple[X, ...]``."""
    if _is_record(annotation):
        return annotation
    return next((found for each in get_args(annotation) if (found := _record_in(each))), None)


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
