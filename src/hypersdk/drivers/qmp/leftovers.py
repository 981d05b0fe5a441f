"""Clean up what runs left that were killed: processes, folders, backup jobs, bitmaps, sockets."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hypersdk.datapath import bitmaps
from hypersdk.drivers.qmp import fleece, process
from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.guestagent import QmpGuestAgent
from hypersdk.drivers.qmp.locks import locked_at_once, release
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.drivers.qmp.workplace import DeadWorkplace
from hypersdk.model.errors import (
    GuestAgentMissing,
    HyperSDKError,
    InstanceNotFound,
    InvalidState,
)
from hypersdk.model.instances import InstanceState

#: Seconds after which a half-made folder without a lock file is a dead one.
_DRAFT_SECONDS = 60.0


class QmpLeftovers:
    """The ``leftovers`` part."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power

    def reap(self, *, dry_run: bool = False) -> Sequence[str]:
        """See the port. Also what runs of QEMU left that ended by themselves."""
        self._root.check()
        done = [*end_strays(self._root, dry_run=dry_run), *self._drafts(dry_run=dry_run)]
        for folder in self._root.folders():
            with suppress(InstanceNotFound):
                name = folder.definition().name
                try:
                    done += clean_view(self._power, folder, dry_run=dry_run)
                    done += self._ended_run(folder, name, dry_run=dry_run)
                except HyperSDKError as error:
                    done.append(f"{name}: {error.message}; left for later")
        return done

    def _drafts(self, *, dry_run: bool) -> Iterator[str]:
        """Instances that were half made or half deleted."""
        with native(f"look into {self._root.path}"):
            names = sorted(os.listdir(self._root.path)) if self._root.path.exists() else []
        for name in names:
            path = self._root.path / name
            if name.startswith((".new-", ".gone-")) and _is_dead(path):
                if not dry_run:
                    _remove_draft(path)
                yield f"removed {path}"

    def _ended_run(self, folder: InstanceFolder, name: str, *, dry_run: bool) -> Iterator[str]:
        """Sockets and logs of a process that ended in order. What tells of a death stays."""
        if not folder.run.exists() or process.is_alive(folder.run):
            return
        with folder.locked():
            if self._power.state(folder, name) is InstanceState.STOPPED and folder.run.exists():
                if not dry_run:
                    folder.clear()
                yield f"{name}: removed what its last run left"


def end_strays(root: Root, *, dry_run: bool = False) -> list[str]:
    """End QEMU processes of this folder that belong to no instance: somebody removed it."""
    done = []
    for pid, pid_file in process.processes(root.path):
        instance = pid_file.parent.parent
        if instance.parent == root.path and not (instance / "definition.json").exists():
            if not dry_run:
                process.end_stray(pid, pid_file)
            done.append(f"ended QEMU process {pid} of {instance.name}, which is gone")
    return done


def clean_view(power: Power, folder: InstanceFolder, *, dry_run: bool = False) -> list[str]:
    """Undo what a backup left that died; a line for what was done."""
    dead = DeadWorkplace.of(folder)
    if dead is None:
        return []
    try:
        machine = folder.definition()
        if not dry_run:
            if dead.record.frozen and process.is_alive(folder.run):  # what hurts most goes first
                with suppress(InvalidState, GuestAgentMissing):
                    QmpGuestAgent(Root(folder.path.parent), power).thaw(machine.name)
            if dead.record.prefix and process.is_alive(folder.run):
                with power.session(folder, machine.name) as session:
                    fleece.end(session, dead.record.prefix)
            if dead.record.bitmap:
                forget_bitmaps(power, folder, machine, {dead.record.bitmap})
            dead.remove()
        return [f"{machine.name}: ended the backup of process {dead.record.pid}, which died"]
    finally:
        dead.close()


def forget_bitmaps(
    power: Power,
    folder: InstanceFolder,
    machine: MachineRecord,
    names: Collection[str],
    *,
    broken: bool = False,
) -> None:
    """Remove records of changes from all disks, in whatever state the instance is. ``broken``: and,
    of a stopped instance, those of ours that were not saved properly."""
    if process.is_alive(folder.run):
        if names:
            with power.session(folder, machine.name) as session:
                for name in sorted(names):
                    fleece.remove_bitmap(session, name)
        return
    for disk in machine.disks:
        if disk.format != "qcow2" or not (names or broken):
            continue
        for bitmap in bitmaps.image_records(disk.path, disk.format).bitmaps:
            useless = broken and not bitmap.consistent and bitmap.name.startswith("hypersdk.")
            if bitmap.name in names or useless:
                bitmaps.remove_bitmap(disk.path, bitmap.name)


def _is_dead(path: Path) -> bool:
    """Whether nobody is at a folder any more."""
    try:
        descriptor = locked_at_once(path / "lock")
    except OSError:
        with suppress(OSError):
            return time.time() - path.stat().st_mtime > _DRAFT_SECONDS
        return False
    if descriptor is None:
        return False
    release(descriptor)
    return True


def _remove_draft(path: Path) -> None:
    """With disks that were made elsewhere for it."""
    with suppress(FileNotFoundError):
        for made in (path / "made").read_bytes().split(b"\0"):
            if made:
                Path(os.fsdecode(made)).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
