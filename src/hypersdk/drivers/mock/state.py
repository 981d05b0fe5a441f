"""What the mock hypervisor keeps in its folder, and the locks that guard it.

::

    ROOT/hypervisor.json                  marks the folder as ours
    ROOT/hypervisor.lock                  held while instances come and go
    ROOT/kept/<disk id>.raw               disks of deleted instances that were to be kept
    ROOT/<instance>/definition.json       name, id, processors, memory, tags, disks
    ROOT/<instance>/state.json            running, paused, stopped or crashed
    ROOT/<instance>/lock                  held by each guest write and each change of state
    ROOT/<instance>/disks/<disk id>.raw   sparse
    ROOT/<instance>/checkpoints/…         see checkpoints.py
    ROOT/<instance>/views/…               see fleece.py

A folder's name is what is printable of the instance's name, and a hash of all of it: names may
hold slashes and any unicode. JSON files are replaced whole, so reading them needs no lock. Folders
that begin with a dot are half made or half deleted and mean nothing.

State survives the death of any process. It is not meant to survive a power cut: disks and
journals are not synced.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hypersdk.drivers.mock.errors import native
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
    NotFound,
)
from hypersdk.model.instances import Disk, Instance, InstanceState

_FORMAT = 1
_NAME_LIMIT = 255  # bytes of UTF-8


@dataclass(frozen=True, slots=True)
class MockDisk:
    """A disk as the definition holds it."""

    name: str
    #: Unique in the world, free of ``:`` and ``/``.
    id: str
    #: Bytes.
    size: int


@dataclass(frozen=True, slots=True)
class MockDefinition:
    """Content of ``definition.json``."""

    id: str
    name: str
    vcpus: int
    memory: int
    tags: Mapping[str, str]
    disks: tuple[MockDisk, ...]

    def disk(self, name: str) -> MockDisk:
        """The disk of this name. Raises NotFound naming those that exist."""
        for disk in self.disks:
            if disk.name == name:
                return disk
        known = ", ".join(disk.name for disk in self.disks) or "none"
        raise NotFound(f"'{self.name}' has no disk '{name}'", hint=f"Its disks: {known}.")

    def encode(self) -> bytes:
        content = {
            "format": _FORMAT,
            "id": self.id,
            "name": self.name,
            "vcpus": self.vcpus,
            "memory": self.memory,
            "tags": dict(self.tags),
            "disks": [{"name": d.name, "id": d.id, "size": d.size} for d in self.disks],
        }
        return json.dumps(content, indent=2, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, content: bytes) -> MockDefinition:
        """Raises KeyError, TypeError or ValueError for anything that ``encode`` did not write."""
        raw = json.loads(content)
        disks = tuple(MockDisk(d["name"], d["id"], d["size"]) for d in raw["disks"])
        return cls(raw["id"], raw["name"], raw["vcpus"], raw["memory"], raw["tags"], disks)


@dataclass(frozen=True, slots=True)
class InstanceFolder:
    """One instance on disk."""

    path: Path

    def definition(self) -> MockDefinition:
        return MockDefinition.decode(self.definition_bytes())

    def definition_bytes(self) -> bytes:
        """Checked content of the definition file. Raises InstanceNotFound when it is gone."""
        content = self._read("definition.json")
        try:
            MockDefinition.decode(content)
        except (KeyError, TypeError, ValueError) as error:
            raise HypervisorError(f"{self.path / 'definition.json'} is damaged: {error}") from error
        return content

    def state(self) -> InstanceState:
        """Observed state; UNKNOWN when the state file makes no sense."""
        try:
            return InstanceState(json.loads(self._read("state.json"))["state"])
        except (KeyError, TypeError, ValueError):
            return InstanceState.UNKNOWN

    def set_state(self, state: InstanceState) -> None:
        replace_file(self.path / "state.json", json.dumps({"state": state.value}).encode())

    def set_definition(self, definition: MockDefinition) -> None:
        replace_file(self.path / "definition.json", definition.encode())

    def disk_path(self, disk: MockDisk) -> Path:
        return self.path / "disks" / f"{disk.id}.raw"

    def observe(self) -> Instance:
        """The instance as it is now."""
        found = self.definition()
        disks = tuple(
            Disk(disk.name, disk.size, path=str(self.disk_path(disk))) for disk in found.disks
        )
        return Instance(
            id=found.id,
            name=found.name,
            state=self.state(),
            vcpus=found.vcpus,
            memory=found.memory,
            disks=disks,
            tags=found.tags,
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude every other thread and process. Raises InstanceNotFound once it is deleted."""
        with native(f"lock {self.path}"):
            try:
                descriptor = _acquire(self.path / "lock")
            except FileNotFoundError as error:
                raise _gone(self.path) from error
        try:
            yield
        finally:
            os.close(descriptor)

    def _read(self, name: str) -> bytes:
        with native(f"read {self.path / name}"):
            try:
                return (self.path / name).read_bytes()
            except FileNotFoundError as error:
                raise _gone(self.path) from error


class Root:
    """The folder of a mock hypervisor. Made when the first instance is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folders(self) -> Iterator[InstanceFolder]:
        """All instances, in no particular order.

        Raises HypervisorUnreachable when there is no hypervisor here.
        """
        with native(f"read {self.path}"):
            self._check()
            names = os.listdir(self.path) if self.path.exists() else []
        for name in names:
            if not name.startswith(".") and (self.path / name / "definition.json").exists():
                yield InstanceFolder(self.path / name)

    def find(self, name: str) -> InstanceFolder:
        """By name, else by id. Raises InstanceNotFound."""
        with native(f"read {self.path}"):
            self._check()
            folder = self.path / folder_name(name)
            if (folder / "definition.json").exists():
                return InstanceFolder(folder)
        for found in self.folders():
            if found.definition().id == name:
                return found
        raise InstanceNotFound(
            f"no instance '{name}' on mock://{self.path}",
            hint=f"There are: {', '.join(self._names()) or 'none'}.",
        )

    def add(self, definition: MockDefinition) -> InstanceFolder:
        """Make a stopped instance with empty disks. Raises AlreadyExists."""
        folder = InstanceFolder(self.path / folder_name(definition.name))
        with native(f"create instance '{definition.name}'"), self._changing():
            if folder.path.exists():
                raise AlreadyExists(f"instance '{definition.name}' exists already")
            draft = InstanceFolder(self.path / f".new-{definition.id}")
            for part in ("", "disks", "checkpoints", "views"):
                (draft.path / part).mkdir(mode=0o700)
            (draft.path / "lock").touch(mode=0o600)
            draft.set_definition(definition)
            draft.set_state(InstanceState.STOPPED)
            for disk in definition.disks:
                with open_private(draft.disk_path(disk)) as file:
                    file.truncate(disk.size)
            draft.path.rename(folder.path)
        return folder

    def remove(self, folder: InstanceFolder, *, keep_disks: bool) -> None:
        """Delete an instance whose lock the caller holds; it disappears at once."""
        with native(f"delete {folder.path}"), self._changing():
            if keep_disks:
                kept = self.path / "kept"
                kept.mkdir(mode=0o700, exist_ok=True)
                for disk in folder.definition().disks:
                    # A second name first: killed here, the instance is as it was.
                    (kept / f"{disk.id}.raw").unlink(missing_ok=True)
                    (kept / f"{disk.id}.raw").hardlink_to(folder.disk_path(disk))
            gone = self.path / f".gone-{folder.definition().id}"
            folder.path.rename(gone)
            shutil.rmtree(gone)

    def _names(self) -> list[str]:
        return sorted(folder.definition().name for folder in self.folders())

    def _check(self) -> None:
        """Refuse a folder that is not ours; an empty one is a hypervisor without instances."""
        if (self.path / "hypervisor.json").exists():
            return
        own = ("hypervisor.", ".hypervisor.")  # another process may be creating it just now
        if self.path.is_dir() and all(name.startswith(own) for name in os.listdir(self.path)):
            return
        raise HypervisorUnreachable(
            f"there is no mock hypervisor in {self.path}",
            hint="Create one: MockHypervisor(path).create_instance(…) in "
            "hypersdk.drivers.mock.driver, or run 'hypersdk demo'.",
        )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock of the whole hypervisor, and sweep what killed processes left."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / "hypervisor.lock").exists():
            self._check()
            (self.path / "hypervisor.lock").touch(mode=0o600)
        descriptor = _acquire(self.path / "hypervisor.lock")
        try:
            marker = self.path / "hypervisor.json"
            if not marker.exists():
                replace_file(marker, json.dumps({"format": _FORMAT}).encode())
            for name in os.listdir(self.path):
                if name.startswith((".new-", ".gone-")):
                    shutil.rmtree(self.path / name)
            yield
        finally:
            os.close(descriptor)


def folder_name(name: str) -> str:
    """Folder of the instance ``name``. Raises InvalidInput for a name that cannot be one."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"instance name {name!r} is not valid unicode") from error
    if not 0 < len(encoded) <= _NAME_LIMIT:
        raise InvalidInput(
            f"an instance name has 1 to {_NAME_LIMIT} bytes, this one has {len(encoded)}"
        )
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "instance"
    return f"{readable}-{hashlib.sha256(encoded).hexdigest()[:16]}"


def replace_file(path: Path, content: bytes) -> None:
    """Readers see the old content or the new one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open_private(temporary) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def open_private(path: Path) -> BinaryIO:
    """An empty file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _acquire(path: Path) -> int:
    """Lock the file that has this name when the lock is granted; closing unlocks it.

    ``flock`` on a descriptor of one's own excludes threads as well as processes.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            mine, named = os.fstat(descriptor), os.stat(path)
        except OSError:
            os.close(descriptor)
            raise
        if (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev):
            return descriptor
        os.close(descriptor)


def _gone(path: Path) -> InstanceNotFound:
    return InstanceNotFound(f"the instance in {path} was deleted")
