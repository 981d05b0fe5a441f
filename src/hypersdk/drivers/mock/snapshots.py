"""Points in time of mock instances: real copies of their disks.

::

    snapshots/<snapshot>/snapshot.json     name, moment, parent, state, the definition then
    snapshots/<snapshot>/<disk id>.raw     sparse copy
    snapshots/current                      name of the one that the content descends from
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypersdk.drivers.mock import sparse
from hypersdk.drivers.mock.chain import Chain
from hypersdk.drivers.mock.contents import Replacing, begin_reverting, end_reverting
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import folder_name, make_sparse, replace_file
from hypersdk.drivers.mock.fleece import live
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder, RunState
from hypersdk.drivers.mock.freezing import frozen_for_a_moment
from hypersdk.drivers.mock.rewriting import refuse_rewritten
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    HypervisorError,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot


@dataclass(frozen=True, slots=True)
class Kept:
    """Content of ``snapshot.json``."""

    name: str
    #: Seconds since the epoch.
    created: float
    parent: str
    state: InstanceState
    memory: bool
    description: str
    #: Nanoseconds of processor time.
    cpu: int
    definition: MockDefinition

    def encode(self) -> bytes:
        content = {
            "name": self.name,
            "created": self.created,
            "parent": self.parent,
            "state": self.state.value,
            "memory": self.memory,
            "description": self.description,
            "cpu": self.cpu,
            "definition": json.loads(self.definition.encode()),
        }
        return json.dumps(content, indent=2, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, content: bytes) -> Kept:
        """Raises KeyError, TypeError or ValueError for what ``encode`` did not write."""
        raw: dict[str, Any] = json.loads(content)
        raw["state"] = InstanceState(raw["state"])
        raw["definition"] = MockDefinition.decode(json.dumps(raw["definition"]).encode())
        return cls(**raw)

    def described(self, current: str) -> Snapshot:
        return Snapshot(
            name=self.name,
            created=datetime.fromtimestamp(self.created, UTC),
            parent=self.parent,
            current=self.name == current,
            state=self.state,
            memory=self.memory,
            disks={disk.name: "external" for disk in self.definition.disks},
            description=self.description,
        )


class MockSnapshots:
    """The ``snapshots`` part. Disks are copied while nothing can write to them."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """Raises InvalidInput for both at once, GuestAgentMissing."""
        place = folder_name(snapshot, "a snapshot")
        with self._locked(name, f"make snapshot '{snapshot}' of") as folder:
            run, definition = folder.run(), folder.definition()
            if (folder.path / "snapshots" / place).exists():
                raise AlreadyExists(
                    f"'{name}' has a snapshot '{snapshot}' already", hint="Choose another name."
                )
            self._check_request(name, run.state, memory, quiesce)
            kept = Kept(
                name=snapshot,
                created=self._root.clock.now(),
                parent=self._current(folder),
                state=run.state,
                memory=memory,
                description=description,
                cpu=run.processor_time(definition, self._root.clock.now()),
                definition=definition,
            )
            with self._quiet(folder, quiesce):
                self.keep(folder, kept, folder.path / "snapshots" / place)
            self._set_current(folder, snapshot)
            return kept.described(snapshot)

    def keep(self, folder: InstanceFolder, kept: Kept, place: Path) -> None:
        """Copy the disks; nothing is left of it when that fails."""
        draft = place.with_name(f".{place.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        try:
            for disk in kept.definition.disks:
                make_sparse(draft / f"{disk.id}.raw", disk.size)
                sparse.copy_file(folder.disk_path(disk), draft / f"{disk.id}.raw")
            replace_file(draft / "snapshot.json", kept.encode())
            draft.rename(place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        folder = self._root.find(name)
        with native(f"list the snapshots of '{name}'"):
            current = self._current(folder)
            return [kept.described(current) for kept in _tree(self._kept(folder))]

    def revert(self, name: str, snapshot: str) -> None:
        """With memory it goes on where it was; otherwise it is stopped.

        Raises InvalidState while a backup reads disks that were not there then, or are no more.
        """
        with self._locked(name, f"revert to '{snapshot}'") as folder:
            kept = self._named(folder, name, snapshot)
            refuse_rewritten(folder)
            self._refuse_readers(folder, kept)
            state = kept.state if kept.memory else InstanceState.STOPPED
            with self._room(folder, kept, state):
                begin_reverting(folder, snapshot)
                self.restore_disks(folder, kept)
                folder.set_definition(kept.definition)
                now = self._root.clock.now() if state is InstanceState.RUNNING else 0.0
                folder.set_run(RunState(state, now, kept.cpu), f"from snapshot {snapshot}")
                self._set_current(folder, snapshot)
                end_reverting(folder)

    def restore_disks(self, folder: InstanceFolder, kept: Kept) -> None:
        """Only what differs is written, and recorded: the next backup knows the differences."""
        there = {disk.id: disk for disk in folder.definition().disks}
        then = {disk.id: disk for disk in kept.definition.disks}
        place = self._place(folder, kept.name)
        for disk in kept.definition.disks:
            content = place / f"{disk.id}.raw"
            if disk.id in there:
                with closing(Replacing(folder, there[disk.id])) as replacing:
                    replacing.become(content)
            else:
                self._bring_back(folder, disk, content)
        for disk in there.values():
            if disk.id not in then:
                folder.disk_path(disk).unlink(missing_ok=True)

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """Children that stay get its parent."""
        with self._locked(name, f"delete snapshot '{snapshot}' of") as folder:
            gone = self._named(folder, name, snapshot)
            doomed = {snapshot}
            if children:
                for each in _tree(self._kept(folder)):  # parents come before children
                    if each.parent in doomed:
                        doomed.add(each.name)
            for each in self._kept(folder):
                if each.parent in doomed and each.name not in doomed:
                    self._adopt(folder, each, gone.parent)
            if self._current(folder) in doomed:
                self._set_current(folder, gone.parent)
            for each_name in doomed:
                place = self._place(folder, each_name)
                hidden = place.with_name(f".{place.name}")
                shutil.rmtree(hidden, ignore_errors=True)
                place.rename(hidden)
                shutil.rmtree(hidden)

    # How

    def _check_request(self, name: str, state: InstanceState, memory: bool, quiesce: bool) -> None:
        if memory and quiesce:
            raise InvalidInput(
                "a snapshot with memory needs no frozen filesystems: what is not written yet is "
                "in it",
                hint="Ask for one of the two.",
            )
        if memory and state not in ACTIVE:
            raise InvalidState(
                f"'{name}' is {state.value} and has no running state to keep",
                hint="Take a snapshot of its disks: without memory.",
            )
        if quiesce and state is not InstanceState.RUNNING:
            raise InvalidState(
                f"'{name}' is {state.value}: there is no filesystem to freeze",
                hint="Take the snapshot without quiescing.",
            )
        if quiesce and not self._root.config.guest_agent:
            raise GuestAgentMissing(
                f"no agent answers in '{name}'", hint="Take the snapshot without quiescing."
            )

    def _refuse_readers(self, folder: InstanceFolder, kept: Kept) -> None:
        """Of disks that would come or go."""
        there = {disk.id for disk in folder.definition().disks}
        then = {disk.id for disk in kept.definition.disks}
        if there != then and live(folder.path / "views"):
            raise InvalidState(
                f"a backup is reading '{kept.definition.name}'", hint="Wait until it ends."
            )

    def _quiet(self, folder: InstanceFolder, quiesce: bool) -> AbstractContextManager[bool]:
        return frozen_for_a_moment(folder.path) if quiesce else nullcontext(False)

    @contextmanager
    def _room(self, folder: InstanceFolder, kept: Kept, state: InstanceState) -> Iterator[None]:
        """For the memory that it had then. Raises LimitExceeded."""
        if state not in ACTIVE or self._root.config.limits.total_memory is None:
            yield
            return
        with self._root.changing():
            self._root.check_memory_room(folder.definition(), kept.definition.memory)
            yield

    def _bring_back(self, folder: InstanceFolder, disk: MockDisk, content: Path) -> None:
        """A disk that was unplugged since. What changed meanwhile nobody recorded."""
        Chain(folder.path / "checkpoints").distrust(disk)
        make_sparse(folder.disk_path(disk), disk.size)
        sparse.copy_file(content, folder.disk_path(disk))

    def _adopt(self, folder: InstanceFolder, child: Kept, parent: str) -> None:
        moved = replace(child, parent=parent)
        replace_file(self._place(folder, child.name) / "snapshot.json", moved.encode())

    def _kept(self, folder: InstanceFolder) -> list[Kept]:
        """All, by age."""
        found = []
        for path in (folder.path / "snapshots").glob("[!.]*/snapshot.json"):
            try:
                found.append(Kept.decode(path.read_bytes()))
            except FileNotFoundError:  # deleted just now
                continue
            except (KeyError, TypeError, ValueError) as error:
                raise HypervisorError(f"{path} is damaged: {error}") from error
        return sorted(found, key=lambda each: (each.created, each.name))

    def _named(self, folder: InstanceFolder, name: str, snapshot: str) -> Kept:
        for each in self._kept(folder):
            if each.name == snapshot:
                return each
        known = ", ".join(each.name for each in self._kept(folder)) or "none"
        raise NotFound(f"'{name}' has no snapshot '{snapshot}'", hint=f"There are: {known}.")

    def _place(self, folder: InstanceFolder, snapshot: str) -> Path:
        return folder.path / "snapshots" / folder_name(snapshot, "a snapshot")

    def _current(self, folder: InstanceFolder) -> str:
        try:
            return (folder.path / "snapshots" / "current").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _set_current(self, folder: InstanceFolder, snapshot: str) -> None:
        path = folder.path / "snapshots" / "current"
        replace_file(path, snapshot.encode(), durable=False)

    @contextmanager
    def _locked(self, name: str, doing: str) -> Iterator[InstanceFolder]:
        folder = self._root.find(name)
        with folder.locked(), native(f"{doing} '{name}'"):
            yield folder


def _tree(kept: Sequence[Kept]) -> Iterator[Kept]:
    """Parents before children, whatever the clock said when they were made."""
    waiting, given = list(kept), {""}
    while waiting:
        ready = [each for each in waiting if each.parent in given] or waiting
        for each in ready:
            given.add(each.name)
            yield each
        waiting = [each for each in waiting if each.name not in given]
