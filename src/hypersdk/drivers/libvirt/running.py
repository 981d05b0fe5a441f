"""Back up a domain that runs: libvirt's pull-mode backup job, read over a private unix socket.

libvirt begins the job, makes the checkpoint and exports all disks in one transaction of QEMU, so
they are of one moment (https://libvirt.org/formatbackup.html). The guest's later writes go to the
disks after QEMU has saved what they overwrite to scratch files.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.nbd import NbdSource
from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.diskports import DiskView, ViewOptions
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.disksources import DiskSource, disk_sources
from hypersdk.drivers.libvirt.errors import complaint, native, translated
from hypersdk.drivers.libvirt.filesystems import Freeze, frozen
from hypersdk.drivers.libvirt.guestfiles import definition, guest_files, not_saved
from hypersdk.drivers.libvirt.leftovers import backup_job, end_job, has_job
from hypersdk.drivers.libvirt.owners import qemu_owner
from hypersdk.drivers.libvirt.records import (
    bitmap_names,
    checkpoint_names,
    checkpoint_xml,
    remove_checkpoint,
)
from hypersdk.drivers.libvirt.scratchguard import ScratchGuard
from hypersdk.drivers.libvirt.tokens import SERIES, Moment, Token
from hypersdk.drivers.libvirt.translate import parsed, state
from hypersdk.drivers.libvirt.viewparts import FileView, drop_superseded, observed, why_full
from hypersdk.drivers.libvirt.workplace import Record, Workplace
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    InstanceNotFound,
    Interrupted,
    InvalidState,
)
from hypersdk.model.instances import Consistency, Definition, Disk, InstanceState

#: libvirt names the disk whose bitmap is missing or broken.
_BROKEN_BITMAP = re.compile(r"for (?:incremental backup of )?disk '([^']+)'")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one disk is going to be read."""

    disk: DiskSource
    #: Checkpoint since which changes are asked for; empty: everything is read.
    since: str
    reason: str


class RunningView:
    """``BackupView`` of a domain whose QEMU process lives: running, paused or crashed."""

    def __init__(
        self,
        connection: Connection,
        domain: libvirt.virDomain,
        since: Mapping[str, str],
        options: ViewOptions,
    ) -> None:
        self._connection = connection
        self._name, self._uuid, self._id = domain.name(), domain.UUIDString(), domain.ID()
        self._options = options
        with native(f"read the definition of '{self._name}'"):
            xml = parsed(domain.XMLDesc(0))
            self._state = state(domain.state()[0])
        refuse_other_jobs(domain)
        sources = disk_sources(domain, xml, options.exclude)
        self.warnings: Sequence[str] = tuple(not_saved(xml))
        self.definition: Definition = definition(domain)
        self._files = [FileView(file) for file in guest_files(xml)]
        self._since = since
        record = Record(connection.uri, self._uuid, self._name, os.getpid(), self._id)
        self._work = Workplace(record, qemu_owner(connection, xml))
        self._moment: Moment | None = None
        #: Names that checkpoints and bitmaps have.
        self._taken: frozenset[str] = frozenset()
        self._recording: frozenset[str] = frozenset()
        self._guard: ScratchGuard | None = None
        self._ended = self._kept = False
        try:
            self._plans = self._begin(xml, [self._plan(disk) for disk in sources])
            if self._plans:
                self._guard = ScratchGuard(lambda: self._domain, self._work.folder, self._work.qemu)
        except BaseException:
            self._end()
            raise
        self.instance = observed(domain, xml, self._state, self._disks_seen())

    @property
    def _domain(self) -> libvirt.virDomain:
        """Looked up each time: hours later libvirtd may be another process. Raises
        InstanceNotFound for a transient domain that has ended."""
        return self._connection.domain(self._uuid)

    # Beginning

    def _plan(self, disk: DiskSource) -> Plan:
        found = why_full(self._domain, disk, self._since, running=True)
        if isinstance(found, Token) and (disk.has_snapshots or self._has_snapshots()):
            found = "changes are not recorded across its internal snapshots"
        if isinstance(found, str):
            return Plan(disk, "", found)
        return Plan(disk, found.checkpoint, f"changed blocks since checkpoint {found.checkpoint}")

    def _has_snapshots(self) -> bool:
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_LIST_INTERNAL
        with native(f"list the snapshots of '{self._name}'"):
            return bool(self._domain.snapshotNum(flags))

    def _begin(self, xml: Element, plans: list[Plan]) -> list[Plan]:
        recording = [plan.disk for plan in plans if plan.disk.records_changes]
        self._taken = self._names_taken(recording)  # not while the guest stands still
        with self._frozen(xml) as freeze:
            while True:
                self._moment = Moment.new(self._options.series, self._taken) if recording else None
                try:
                    self._start_job(plans, recording)
                except libvirt.libvirtError as error:
                    plans, recording = self._given_way(error, plans, recording)
                else:
                    break
        self.consistency = Consistency.FILESYSTEM if freeze.count else Consistency.CRASH
        if freeze.problem:
            self._warn(f"the guest agent froze no filesystems: {freeze.problem}")
        return plans

    def _frozen(self, xml: Element) -> AbstractContextManager[Freeze]:
        if self._options.freeze and self._state is InstanceState.RUNNING:
            return frozen(self._domain, xml, self._work)
        return contextlib.nullcontext(Freeze())

    def _warn(self, text: str) -> None:
        self.warnings = (*self.warnings, text)

    def _names_taken(self, recording: list[DiskSource]) -> frozenset[str]:
        """Our own names never come twice, so nobody needs to look."""
        if self._options.series == SERIES:
            return frozenset()
        return frozenset((*checkpoint_names(self._domain), *bitmap_names(recording, in_use=True)))

    def _given_way(
        self, error: libvirt.libvirtError, plans: list[Plan], recording: list[DiskSource]
    ) -> tuple[list[Plan], list[DiskSource]]:
        """What to try instead after QEMU refused; raises when nothing is left to try."""
        words = complaint(error)
        assumed = [plan for plan in plans if plan.since]
        if self._moment and "already exists" in words and self._moment.name not in self._taken:
            # By a bitmap that only QEMU sees: it was made since the guest was started.
            self._taken |= {self._moment.name}
            return plans, recording
        if assumed and error.get_error_code() in (
            libvirt.VIR_ERR_CHECKPOINT_INCONSISTENT,
            libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT,
        ):
            named = _BROKEN_BITMAP.search(words)
            broken = {named[1]} if named else {plan.disk.name for plan in assumed}
            return [_in_full(p, words) if p.disk.name in broken else p for p in plans], recording
        if assumed:
            return [_in_full(plan, words) for plan in plans], recording
        if recording and error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            self._warn(f"no checkpoint could be made ({words}); the next backup reads everything")
            return plans, []
        raise translated(error, f"begin a backup of '{self._name}'") from error

    def _start_job(self, plans: Sequence[Plan], recording: Sequence[DiskSource]) -> None:
        if not plans:  # there is no job without disks
            return
        self._work.note(checkpoint=self._moment.name if self._moment else "")
        checkpoint = None
        if self._moment is not None:
            names = [disk.name for disk in recording]
            others = [plan.disk.name for plan in plans if plan.disk.name not in names]
            others += sorted(self._options.exclude)
            root = checkpoint_xml(self._moment, names, others)
            checkpoint = tostring(root, encoding="unicode")
        job = tostring(self._job_xml(plans), encoding="unicode")
        self._domain.backupBegin(job, checkpoint, 0)
        self._recording = frozenset(disk.name for disk in recording)

    def _job_xml(self, plans: Sequence[Plan]) -> Element:
        root = Element("domainbackup", mode="pull")
        SubElement(root, "server", transport="unix", socket=self._socket)
        disks = SubElement(root, "disks")
        for number, plan in enumerate(plans):
            disk = SubElement(disks, "disk", name=plan.disk.name, backup="yes", type="file")
            disk.set("backupmode", "incremental" if plan.since else "full")
            disk.set("exportname", plan.disk.name)
            if plan.since:
                disk.set("incremental", plan.since)
                disk.set("exportbitmap", _bitmap(plan.disk.name))
            SubElement(disk, "scratch", file=str(self._work.scratch(number)))
        for name in sorted(self._options.exclude):
            SubElement(disks, "disk", name=name, backup="no")
        return root

    @property
    def _socket(self) -> str:
        return self._options.socket or str(self._work.socket)

    # Reading

    @property
    def disks(self) -> Sequence[DiskView]:
        return [*(self._disk_view(plan) for plan in self._plans), *self._files]

    def _disk_view(self, plan: Plan) -> RunningDiskView:
        token = None
        if self._moment is not None and plan.disk.name in self._recording:
            token = str(Token.of(self._moment, plan.disk))
        return RunningDiskView(plan, self._socket, f"disk {plan.disk.name} of {self._name}", token)

    def _disks_seen(self) -> tuple[Disk, ...]:
        return (*(plan.disk.disk() for plan in self._plans), *(f.disk for f in self._files))

    def confirm(self) -> None:
        """QEMU ends the job when it can no longer keep the moment, a full scratch folder say."""
        if self._plans and not self._has_job():
            raise self._lost()

    def _has_job(self) -> bool:
        with contextlib.suppress(InstanceNotFound):
            return has_job(self._domain, self._work.folder)
        return False

    def _was_switched_off(self) -> bool:
        """Also when it was started again since: its QEMU is another one then."""
        with contextlib.suppress(InstanceNotFound), native(f"look at '{self._name}'"):
            return bool(self._domain.ID() != self._id)
        return True

    def _lost(self) -> HyperSDKError:
        if self._was_switched_off():
            return InvalidState(
                f"'{self._name}' was switched off while it was backed up",
                hint="Run the backup again: it is then read as a stopped instance.",
            )
        return HypervisorError(
            f"the backup job of '{self._name}' ended before everything was read",
            hint=f"Its scratch files may have had no room in {self._work.folder.parent}: "
            "name another folder with HYPERSDK_SCRATCH_DIR.",
        )

    # Ending

    def keep_checkpoints(self) -> None:
        """See the port."""
        self._kept = True
        self._work.note(checkpoint="")
        if self._moment is not None:
            with CancelToken().scope():  # the restore point is there
                drop_superseded(self._domain, self._moment, self._since, self._options.series)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lost = self._lost() if self._explains(error) else None
        self._end()
        if lost is not None:
            raise lost from error

    def _explains(self, error: BaseException | None) -> bool:
        """Whether the loss of the job is why the backup failed, rather than ``error`` itself."""
        if not isinstance(error, HyperSDKError) or isinstance(error, Interrupted):
            return False
        with contextlib.suppress(HyperSDKError):  # libvirtd is gone as well
            return bool(self._plans) and not self._has_job()
        return False

    def _end(self) -> None:
        """Nothing of ours stays on the hypervisor but a kept checkpoint."""
        if self._ended:
            return
        self._ended = True
        if self._guard is not None:
            self._guard.stop()
        try:
            # Whose work was cancelled tidies up all the same. Nothing is left of a domain that is
            # gone.
            with CancelToken().scope(), contextlib.suppress(InstanceNotFound):
                self._undo(self._domain)
        except BaseException:
            self._work.leave()
            raise
        if self._work.record.frozen:
            self._work.leave()
        else:
            self._work.end()

    def _undo(self, domain: libvirt.virDomain) -> None:
        if has_job(domain, self._work.folder):
            end_job(domain, self._work.folder)
        if self._work.record.checkpoint and not self._kept:
            remove_checkpoint(domain, self._work.record.checkpoint)


class RunningDiskView:
    """One disk of the backup job."""

    def __init__(self, plan: Plan, socket: str, title: str, token: str | None) -> None:
        self.disk = plan.disk.disk()
        self.checkpoint = token
        self.incremental = bool(plan.since)
        self.reason = plan.reason
        self._title = title
        self._uri = f"nbd+unix:///{quote(plan.disk.name, safe='')}?socket={quote(socket)}"

    def open(self, *, full: bool = False) -> BlockSource:
        bitmap = _bitmap(self.disk.name) if self.incremental and not full else None
        return NbdSource(self._uri, bitmap, name=self._title)


def refuse_other_jobs(domain: libvirt.virDomain) -> None:
    """Raises InvalidState while a backup job is under way: ours or another program's."""
    job = backup_job(domain)
    if job is None:
        return
    server = job.find("server")
    socket = "" if server is None else server.get("socket", "")
    raise InvalidState(
        f"'{domain.name()}' is being backed up already" + (f", through {socket}" if socket else ""),
        hint="Wait for it. If it is a leftover of another program, end it: "
        f"virsh domjobabort {domain.name()}",
    )


def _bitmap(disk: str) -> str:
    return f"backup-{disk}"


def _in_full(plan: Plan, words: str) -> Plan:
    return replace(plan, since="", reason=f"its record of changes is lost ({words})")
