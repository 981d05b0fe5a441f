"""The folder of a mock hypervisor, and the lock under which instances come and go.

::

    ROOT/hypervisor.json                  marks the folder as ours
    ROOT/hypervisor.lock                  held while instances come and go
    ROOT/hypervisor.events                see notices.py
    ROOT/hypervisor.calls                 see callnotes.py
    ROOT/hypervisor.down                  while a failure plan has it crashed; see failing.py
    ROOT/mock.toml                        see configfile.py
    ROOT/networks/<network>.json          see networks.py
    ROOT/kept/<disk id>.raw               disks of deleted instances that were to be kept
    ROOT/<instance>/definition.json       see definition.py
    ROOT/<instance>/state.json            running, paused, stopped or crashed; see folder.py
    ROOT/<instance>/lock                  held by each guest write and each change of state
    ROOT/<instance>/disks/<disk id>.raw   sparse
    ROOT/<instance>/checkpoints/…         see chain.py
    ROOT/<instance>/views/…               see fleece.py
    ROOT/<instance>/snapshots/…           see snapshots.py
    ROOT/<instance>/counters/…            see counters.py
    ROOT/<instance>/serial/…, keys        see guestline.py
    ROOT/<instance>/frozen                see freezing.py

A folder's name is what is printable of the instance's name, and a hash of all of it: names may
hold slashes and any unicode. JSON files are replaced whole, so reading them needs no lock. Folders
that begin with a dot are half made or half deleted and mean nothing.

Locks are taken in this order: instance, hypervisor, events.

State survives the death of any process. It is not meant to survive a power cut: disks and
journals are not synced.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from hypersdk.drivers.mock.cache import Cache
from hypersdk.drivers.mock.clock import Clock, SystemClock
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.configfile import OWN_FILE
from hypersdk.drivers.mock.definition import FORMAT, MockDefinition, MockDisk
from hypersdk.drivers.mock.drafts import Draft, is_dead
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import folder_name, replace_file
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder, RunState
from hypersdk.drivers.mock.locks import locked
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorUnreachable,
    InstanceNotFound,
    LimitExceeded,
)
from hypersdk.model.instances import EventKind, InstanceState

#: Bytes of all disks of an instance together; sparse files of more exist nowhere but in memory.
LARGEST_DISKS = 1 << 50


class Root:
    """Made on disk when the first instance is. Parts share one."""

    def __init__(
        self, path: Path, config: Config | None = None, clock: Clock | None = None
    ) -> None:
        self.path = path
        self.config = config or Config()
        self.clock = clock or SystemClock()
        self._cache = Cache()
        #: How often the connection was cut, and whether the next call is to find it so.
        self.cuts = 0
        self._lost = False
        #: Id → folder, as far as seen.
        self._ids: dict[str, str] = {}

    def cut(self) -> None:
        """Lose the connection, as a network would: the next call fails, the one after it connects
        anew, and who follows events is told."""
        self.cuts += 1
        self._lost = True

    def reach(self) -> None:
        """Raises HypervisorUnreachable once after each cut."""
        if self._lost:
            self._lost = False
            raise HypervisorUnreachable(
                f"the connection to mock://{self.path} was lost", hint="Call again."
            )

    # Find

    def folders(self) -> Iterator[InstanceFolder]:
        """All instances, in no particular order.

        Raises HypervisorUnreachable when there is no hypervisor here.
        """
        for name in self._folder_names():
            yield self._folder(name)

    def _folder_names(self) -> list[str]:
        with native(f"read {self.path}"):
            self.check()
            names = os.listdir(self.path) if self.path.exists() else []
        # Ours end with a hash; this is quicker than looking into each.
        return [name for name in names if not name.startswith(".") and name[-17:-16] == "-"]

    def definitions(self) -> Iterator[tuple[InstanceFolder, MockDefinition]]:
        """All instances with what they are; those that go meanwhile are left out."""
        for folder in self.folders():
            try:
                yield folder, folder.definition()
            except InstanceNotFound:
                continue

    def find(self, name: str) -> InstanceFolder:
        """By name, else by id. Raises InstanceNotFound."""
        self.reach()
        with native(f"read {self.path}"):
            folder = self._folder(folder_name(name))
            if os.path.exists(f"{folder.path}/definition.json"):
                return folder
        if (found := self._by_id(name)) is not None:
            return found
        raise InstanceNotFound(
            f"no instance '{name}' on mock://{self.path}", hint=f"There are: {self._names()}."
        )

    def _by_id(self, id: str) -> InstanceFolder | None:
        if id in self._ids:
            with suppress(InstanceNotFound):
                known = self._folder(self._ids[id])
                if known.definition().id == id:
                    return known
        self._ids = {found.id: folder.path.name for folder, found in self.definitions()}
        return self._folder(self._ids[id]) if id in self._ids else None

    def _folder(self, name: str) -> InstanceFolder:
        return InstanceFolder(self.path / name, self.clock, self._cache)

    def _names(self) -> str:
        names = sorted(definition.name for _, definition in self.definitions())
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return ", ".join(names[:20]) + more or "none"

    # Make and remove

    def add(
        self,
        definition: MockDefinition,
        copies: Mapping[MockDisk, Path] | None = None,
        run: RunState | None = None,
    ) -> InstanceFolder:
        """Make an instance, stopped unless ``run`` says otherwise; its disks are empty, or copies.

        Raises AlreadyExists, LimitExceeded; what was made is removed again on failure.
        """
        with native(f"create instance '{definition.name}'"), self.draft(definition) as draft:
            draft.fill(copies, run)
            return self.publish(draft)

    def draft(self, definition: MockDefinition, *, replacing: bool = False) -> Draft:
        """Begin to make an instance. Raises AlreadyExists unless ``replacing``, LimitExceeded."""
        self.reach()
        with self.changing():
            if not replacing:
                self.refuse_taken(definition.name)
            self._check_room(definition, replacing)
            return Draft(self._folder(f".new-{definition.id}-{uuid4().hex[:8]}"), definition)

    def publish(self, draft: Draft, *, instead_of: InstanceFolder | None = None) -> InstanceFolder:
        """Give a filled draft its name. ``instead_of``: what has the name until then; the caller
        holds its lock. Raises AlreadyExists, LimitExceeded."""
        definition = draft.definition
        folder = self._folder(folder_name(definition.name))
        with self.changing():
            self._check_room(definition, replacing=instead_of is not None)
            if instead_of is not None:
                self._take_away(instead_of)
            self.refuse_taken(definition.name)
            draft.folder.path.rename(folder.path)
            draft.published(folder)
            folder.announce(EventKind.DEFINED, definition, folder.state(), "defined")
        return folder

    def refuse_taken(self, name: str) -> None:
        """Raises AlreadyExists."""
        if (self.path / folder_name(name)).exists():
            raise AlreadyExists(
                f"instance '{name}' exists already", hint="Choose another name, or delete it."
            )

    def remove(self, folder: InstanceFolder, *, keep_disks: bool) -> None:
        """Delete an instance whose lock the caller holds; it disappears at once."""
        with native(f"delete {folder.path}"), self.changing():
            if keep_disks:
                for disk in folder.definition().disks:
                    # A second name first: killed here, the instance is as it was.
                    self.keep_disk(folder, disk)
            self._take_away(folder)

    def _take_away(self, folder: InstanceFolder) -> None:
        definition = folder.definition()
        gone = self.path / f".gone-{uuid4().hex}"
        folder.path.rename(gone)
        folder.announce(EventKind.REMOVED, definition, InstanceState.STOPPED, "undefined")
        shutil.rmtree(gone)

    def keep_disk(self, folder: InstanceFolder, disk: MockDisk) -> Path:
        """Give the content of a disk a place outside of its instance."""
        kept = self.path / "kept" / f"{disk.id}.raw"
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        kept.unlink(missing_ok=True)
        kept.hardlink_to(folder.disk_path(disk))
        return kept

    # Room

    def _check_room(self, definition: MockDefinition, replacing: bool = False) -> None:
        limits = self.config.limits
        self.check_size(definition)
        if replacing:
            return
        if len(self._folder_names()) >= limits.instances:
            raise LimitExceeded(
                f"there is no room for '{definition.name}': {limits.instances} instances are all "
                "this hypervisor has",
                hint="Delete some that are not needed any more.",
            )
        self.check_disk_room(sum(disk.size for disk in definition.disks))

    def check_size(self, definition: MockDefinition) -> None:
        """Raises LimitExceeded for an instance that is larger than any may be."""
        limits = self.config.limits
        for asked, most, what in (
            (definition.vcpus_room, limits.vcpus, "vCPUs"),
            (definition.memory_room, limits.memory, "bytes of memory"),
            (definition.memory, limits.total_memory, "bytes of memory in all"),
        ):
            if most is not None and asked > most:
                raise LimitExceeded(
                    f"'{definition.name}' asks for {asked} {what}, instances of this hypervisor "
                    f"have {most} at most",
                    hint="Ask for less.",
                )

    def check_disk_room(self, size: int) -> None:
        """Whether disks of ``size`` bytes more have room. Under the hypervisor's lock."""
        if size > LARGEST_DISKS:  # file systems in memory would take it
            raise LimitExceeded(
                f"disks of {size} bytes are more than an instance can have",
                hint=f"At most {LARGEST_DISKS} bytes.",
            )
        most = self.config.limits.total_disk
        if most is None:
            return
        used = sum(disk.size for _, found in self.definitions() for disk in found.disks)
        if used + size > most:
            raise LimitExceeded(
                f"there is no room for {size} bytes of disk: {used} of {most} are given away",
                hint="Delete disks that are not needed any more.",
            )

    def check_memory_room(self, definition: MockDefinition, memory: int) -> None:
        """Whether ``memory`` bytes have room beside all others. Under the hypervisor's lock."""
        most = self.config.limits.total_memory
        if most is None:
            return
        used = self.memory_used(without=definition.id)
        if used + memory > most:
            raise LimitExceeded(
                f"there is no room for the {memory} bytes of memory of '{definition.name}': "
                f"{used} of {most} are in use",
                hint="Stop other instances.",
            )

    def memory_used(self, without: str = "") -> int:
        """Bytes that instances that run or are paused were given."""
        used = 0
        for folder, found in self.definitions():
            if found.id != without and folder.state() in ACTIVE:
                used += found.memory
        return used

    # The hypervisor as a whole

    def check(self) -> None:
        """Refuse a folder that is not ours; an empty one is a hypervisor without instances."""
        self.reach()
        if (self.path / "hypervisor.json").exists():
            return
        own = ("hypervisor.", ".hypervisor.")  # another process may be creating it just now
        if self.path.is_dir() and all(
            name.startswith(own) or name == OWN_FILE for name in os.listdir(self.path)
        ):
            return
        raise HypervisorUnreachable(
            f"there is no mock hypervisor in {self.path}",
            hint=f"A new one begins with an empty folder: mkdir {self.path}",
        )

    @contextmanager
    def changing(self, *, sweep: bool = True) -> Iterator[None]:
        """Hold the lock of the whole hypervisor, and sweep what killed processes left."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / "hypervisor.lock").exists():
            self.check()
            (self.path / "hypervisor.lock").touch(mode=0o600)
        with locked(self.path / "hypervisor.lock"):
            marker = self.path / "hypervisor.json"
            if not marker.exists():
                replace_file(marker, json.dumps({"format": FORMAT}).encode())
            for path in self.debris() if sweep else ():
                # Its maker may be removing it as well.
                shutil.rmtree(path, ignore_errors=True)
            yield

    def debris(self) -> list[Path]:
        """What was half made or half deleted when its process was killed. Under the lock."""
        found = []
        for name in os.listdir(self.path) if self.path.is_dir() else ():
            path = self.path / name
            if name.startswith(".gone-") or (name.startswith(".new-") and is_dead(path)):
                found.append(path)
        return found
