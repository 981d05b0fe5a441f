"""What the driver keeps in its folder, and the locks that guard it.

::

    ROOT/hypervisor.json             marks the folder as ours
    ROOT/hypervisor.lock             held while instances come and go
    ROOT/kvm.json                    whether KVM boots here; see acceleration.py
    ROOT/kept/<id>/…                 disks of deleted instances that were to be kept
    ROOT/<instance>/definition.json  what it is: see definition.py
    ROOT/<instance>/lock             held by each change of it
    ROOT/<instance>/monitor          held while somebody talks to its QEMU
    ROOT/<instance>/agent            held while somebody talks to its guest agent
    ROOT/<instance>/view             held by the backup that reads it; see workplace.py
    ROOT/<instance>/disks/           disks for which nobody named a place, and overlays
    ROOT/<instance>/run/             there from before QEMU is forked until it is known to be dead
        alive                        locked as long as the process lives; see process.py
        pid                          QEMU's own pid file
        start.json                   boot of the host, acceleration
        qmp, spare, events           monitors: for us, for whoever looks on, for the log of events
        events.log                   what QEMU reported since it was started
        serial-<n>, vnc, agent       the guest's serial line, screen and agent channel
        log                          what QEMU complained about while it started

A folder's name is what is printable of the instance's name, and a hash of all of it. JSON files are
replaced whole, so reading them needs no lock. Folders that begin with a dot are half made or half
deleted; they are locked while somebody is at it.

State is never written down: an instance without ``run`` is stopped, and one with it is what QEMU
says. When its process is gone the log of events tells whether it was shut down, or died.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hypersdk.drivers.qmp.definition import MachineRecord, decode
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.locks import locked, release
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
)

_FORMAT = 1
_NAME_LIMIT = 255  # bytes of UTF-8
#: Characters of an instance's name, and of its hash, in the name of its folder.
_READABLE, _HASH = 12, 10
#: Seconds that a change of an instance waits for another one to end.
_LOCK_SECONDS = 60.0
#: Longest path of ROOT in bytes: sockets lie below it, and their addresses hold 107 (unix(7)).
PATH_MAX = 107 - len("/") - (_READABLE + 1 + _HASH) - len("/run/serial-000")


@dataclass(frozen=True, slots=True)
class InstanceFolder:
    """One instance on disk."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def disks(self) -> Path:
        return self.path / "disks"

    def definition(self) -> MachineRecord:
        """Raises InstanceNotFound when it is gone."""
        with native(f"read the definition in {self.path}"):
            try:
                content = (self.path / "definition.json").read_bytes()
            except (FileNotFoundError, NotADirectoryError) as error:
                raise _gone(self.path) from error
        try:
            return decode(content)
        except (KeyError, TypeError, ValueError) as error:
            raise HypervisorError(
                f"{self.path / 'definition.json'} is damaged: {error}",
                hint="Put back a copy of it, or remove the folder.",
            ) from error

    def define(self, machine: MachineRecord) -> None:
        with native(f"write the definition of '{machine.name}'"):
            replace_file(self.path / "definition.json", machine.encode())

    @contextmanager
    def locked(self) -> Iterator[MachineRecord]:
        """Exclude every other change; what it is. Raises InstanceNotFound once it is deleted,
        HypervisorBusy when another change does not end."""
        with native(f"lock {self.path}"):
            try:
                descriptor = locked(self.path / "lock", f"change {self.path}", _LOCK_SECONDS)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise _gone(self.path) from error
        try:
            yield self.definition()
        finally:
            release(descriptor)

    def clear(self) -> None:
        """Forget a run whose process is dead."""
        shutil.rmtree(self.run, ignore_errors=True)


class Root:
    """The folder of the hypervisor."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Refuse a folder that is not ours or not in reach; one that is not there or empty is a
        hypervisor without instances. Raises HypervisorUnreachable, HypervisorDenied."""
        with native(f"use {self.path}"):
            self._check()

    def _check(self) -> None:
        if len(os.fsencode(self.path)) > PATH_MAX:
            raise InvalidInput(
                f"{self.path} has too long a path: sockets could not be reached below it",
                hint=f"At most {PATH_MAX} bytes. A symbolic link does not help; move it.",
            )
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise HypervisorUnreachable(
                f"{self.path} is no folder", hint="Write qmp:///absolute/path/of/a/folder."
            ) from error
        ours = ("hypervisor.", ".")  # another process may be at it just now
        if "hypervisor.json" in names or all(name.startswith(ours) for name in names):
            return
        raise HypervisorUnreachable(
            f"{self.path} holds something else than instances of QEMU",
            hint="Name an empty folder, or one that does not exist yet.",
        )

    def folders(self) -> Iterator[InstanceFolder]:
        """Those of all instances, in no order."""
        with native(f"list {self.path}"):
            try:
                names = os.listdir(self.path)
            except FileNotFoundError:
                return
        for name in names:
            if not name.startswith(".") and (self.path / name / "definition.json").exists():
                yield InstanceFolder(self.path / name)

    def find(self, name: str) -> InstanceFolder:
        """By name or id. Raises InstanceNotFound."""
        with suppress(InvalidInput):
            folder = InstanceFolder(self.path / folder_name(name))
            if (folder.path / "definition.json").exists():
                return folder
        names = []
        for found in self.folders():
            with suppress(InstanceNotFound):
                machine = found.definition()
                if machine.id == name:
                    return found
                names.append(machine.name)
        raise InstanceNotFound(
            f"no instance '{name}' in {self.path}",
            hint=f"There are: {', '.join(sorted(names)) or 'none'}.",
        )

    @contextmanager
    def draft(
        self, name: str, identity: str, *, replacing: bool = False
    ) -> Iterator[InstanceFolder]:
        """A folder in which an instance is put together; it is removed unless `publish` took it.
        Raises AlreadyExists unless it is to replace one, InvalidInput for the name."""
        final = self.path / folder_name(name)
        with native(f"create instance '{name}'"):
            self._found()
            if final.exists() and not replacing:
                raise _taken(name)
            draft = InstanceFolder(self.path / f".new-{identity}")
            (draft.path / "disks").mkdir(mode=0o700, parents=True)
            for file in ("lock", "monitor", "agent", "view"):
                open_private(draft.path / file).close()
            descriptor = locked(draft.path / "lock", f"create '{name}'", _LOCK_SECONDS)
        try:
            yield draft
        finally:
            shutil.rmtree(draft.path, ignore_errors=True)  # not there any more once published
            release(descriptor)

    def publish(
        self,
        draft: InstanceFolder,
        machine: MachineRecord,
        *,
        instead_of: InstanceFolder | None = None,
    ) -> InstanceFolder:
        """Give a draft its name: from now on there is an instance. ``instead_of``: a stopped one of
        that name, whose lock the caller holds. Raises AlreadyExists."""
        folder = InstanceFolder(self.path / folder_name(machine.name))
        with native(f"create instance '{machine.name}'"), self.changing():
            draft.define(machine)
            gone = self.path / f".gone-{os.urandom(8).hex()}"
            if instead_of is not None:
                instead_of.path.rename(gone)
            if folder.path.exists():
                raise _taken(machine.name)
            draft.path.rename(folder.path)
        shutil.rmtree(gone, ignore_errors=True)
        return folder

    def remove(self, folder: InstanceFolder, keep: list[Path]) -> None:
        """Delete a stopped instance whose lock the caller holds; it disappears at once.

        ``keep``: disks in its folder that are moved to ``ROOT/kept``.
        """
        machine = folder.definition()
        with native(f"delete '{machine.name}'"), self.changing():
            if keep:
                kept = self.path / "kept" / machine.id
                kept.mkdir(mode=0o700, parents=True, exist_ok=True)
                for file in keep:
                    # A second name first: killed here, the instance is as it was.
                    (kept / file.name).unlink(missing_ok=True)
                    (kept / file.name).hardlink_to(file)
            gone = self.path / f".gone-{machine.id}"
            folder.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of the whole hypervisor: for moments only."""
        self._found()
        descriptor = locked(self.path / "hypervisor.lock", f"change {self.path}", _LOCK_SECONDS)
        try:
            yield
        finally:
            release(descriptor)

    def _found(self) -> None:
        """Make the folder a hypervisor's."""
        if (self.path / "hypervisor.json").exists():
            return
        self._check()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.path / "hypervisor.lock").touch(mode=0o600)
        replace_file(self.path / "hypervisor.json", json.dumps({"format": _FORMAT}).encode())


def folder_name(name: str) -> str:
    """Folder of the instance ``name``. Raises InvalidInput for a name that cannot be one."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"instance name {name!r} is not valid unicode", hint="Use another one."
        ) from error
    if not 0 < len(encoded) <= _NAME_LIMIT or not name.isprintable():
        raise InvalidInput(
            f"{name!r} cannot be the name of an instance",
            hint=f"It has 1 to {_NAME_LIMIT} bytes, and no control characters.",
        )
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:_READABLE] or "instance"
    return f"{readable}-{hashlib.sha256(encoded).hexdigest()[:_HASH]}"


def replace_file(path: Path, content: bytes) -> None:
    """Readers see the old content or the new one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open_private(temporary) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_private(path: Path) -> BinaryIO:
    """An empty file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _gone(path: Path) -> InstanceNotFound:
    return InstanceNotFound(f"the instance in {path} was deleted", hint="List them again.")


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"an instance '{name}' exists already", hint="Choose another name, or delete it."
    )
