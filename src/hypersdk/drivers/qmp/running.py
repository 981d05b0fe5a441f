"""Back up an instance that runs: its disks are read from its QEMU, see `fleece`."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.nbd import NbdSource
from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.diskports import DiskView, ViewOptions
from hypersdk.drivers.qmp import fleece, process, translate
from hypersdk.drivers.qmp.blocknodes import tops
from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.fleece import Plan
from hypersdk.drivers.qmp.guestagent import QmpGuestAgent
from hypersdk.drivers.qmp.leftovers import forget_bitmaps
from hypersdk.drivers.qmp.monitor import Session
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder
from hypersdk.drivers.qmp.tokens import Token, new_bitmap
from hypersdk.drivers.qmp.viewparts import (
    chosen,
    definition,
    file_views,
    superseded,
    why_full,
)
from hypersdk.drivers.qmp.workplace import Workplace
from hypersdk.model.errors import HyperSDKError, HypervisorError, Interrupted, InvalidState
from hypersdk.model.instances import Consistency, Definition, InstanceState
from hypersdk.model.units import MIB

#: Bytes that stay free in the scratch folder, and used ones below which giving up gains nothing.
_RESERVE, _WORTHWHILE = 64 * MIB, 8 * MIB
#: Seconds between two looks at the room there.
_LOOK_SECONDS = 0.25


class RunningView:
    """``BackupView`` of an instance that has a process: running, paused or crashed."""

    def __init__(
        self,
        power: Power,
        folder: InstanceFolder,
        machine: MachineRecord,
        state: InstanceState,
        since: Mapping[str, str],
        options: ViewOptions,
        agent: QmpGuestAgent,
    ) -> None:
        self._power, self._folder, self._machine = power, folder, machine
        self._since, self._options = since, options
        self._agent = agent
        self.instance = translate.instance(machine, state)
        self.definition: Definition = definition(machine)
        self.consistency = Consistency.CRASH
        self.warnings: Sequence[str] = ()
        self._files = file_views(machine)
        self._ended = self._kept = False
        self._plans: list[Plan] = []
        self._bitmap = ""
        self._guard: _ScratchGuard | None = None
        self._work = Workplace(folder, machine.name)
        try:
            self._begin()
        except BaseException:
            self._end()
            raise

    def _begin(self) -> None:
        disks = chosen(self._machine, self._options)
        if not disks:
            return
        self._work.furnish()
        scratch, prefix = self._work.scratch, self._work.record.prefix
        for number, disk in enumerate(disks):
            fleece.scratch_image(scratch / f"scratch-{number}", disk.size)
        recording = any(disk.format == "qcow2" for disk in disks)
        self._bitmap = new_bitmap(self._options.series) if recording else ""
        self._socket = Path(self._options.socket) if self._options.socket else self._work.socket
        with (
            self._frozen(),
            native(f"begin a backup of '{self._machine.name}'"),
            self._power.session(self._folder, self._machine.name) as session,
        ):
            known = fleece.bitmaps(session)
            for disk in disks:
                found = why_full(disk, self._since, known.get(disk.name, ()))
                if isinstance(found, Token):
                    reason = f"changed blocks since {found.bitmap}"
                    self._plans.append(Plan(disk, found.bitmap, reason))
                else:
                    self._plans.append(Plan(disk, "", found))
            self._work.note(bitmap=self._bitmap)
            fleece.begin(session, self._plans, tops(session), prefix, scratch, self._bitmap)
            fleece.export(session, self._plans, prefix, self._socket)
        self._guard = _ScratchGuard(scratch, self._give_up)

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        """Filesystems stand still for the block when an agent answers. It is written down before,
        so that a run which is killed in between is thawed by its cleaner."""
        name = self._machine.name
        wanted = self._options.freeze and self.instance.state is InstanceState.RUNNING
        if not (wanted and self._answers()):
            yield
            return
        self._work.note(frozen="yes")
        try:
            try:
                if self._agent.freeze(name):
                    self.consistency = Consistency.FILESYSTEM
            except HypervisorError as error:
                text = f"the guest agent froze no filesystems: {error.message}"
                self.warnings = (*self.warnings, text)
            yield
        finally:
            with CancelToken().scope():  # whose work was cancelled thaws all the same
                self._agent.thaw(name)
            self._work.note(frozen="")

    def _answers(self) -> bool:
        try:
            self._agent.ping(self._machine.name)
        except (HypervisorError, InvalidState):
            return False
        return True

    # Reading

    @property
    def disks(self) -> Sequence[DiskView]:
        return [*(self._disk_view(plan) for plan in self._plans), *self._files]

    def _disk_view(self, plan: Plan) -> RunningDiskView:
        token = str(Token.of(self._bitmap, plan.disk)) if plan.disk.format == "qcow2" else None
        title = f"disk {plan.disk.name} of {self._machine.name}"
        copy = fleece.bitmap_name(self._work.record.prefix) if plan.since else None
        return RunningDiskView(plan, self._socket, title, token, copy)

    def confirm(self) -> None:
        """A job ends when it can no longer keep the moment."""
        if self._plans and not self._lives():
            raise self._lost()

    def _lives(self) -> bool:
        try:
            with self._session() as session:
                return fleece.lives(session, self._work.record.prefix, len(self._plans))
        except HyperSDKError:
            if process.is_alive(self._folder.run):
                raise
            return False

    def _session(self) -> contextlib.AbstractContextManager[Session]:
        return self._power.session(self._folder, self._machine.name)

    def _give_up(self) -> None:
        """The guest comes before its backup: it must not stand still for lack of room."""
        with contextlib.suppress(HyperSDKError), self._session() as session:
            starved = session.execute("query-status")["status"] == "io-error"
            fleece.end(session, self._work.record.prefix)
            if starved:
                session.execute("cont")

    def _lost(self) -> HyperSDKError:
        if not process.is_alive(self._folder.run):
            return InvalidState(
                f"'{self._machine.name}' was switched off while it was backed up",
                hint="Run the backup again: it is then read as a stopped instance.",
            )
        return HypervisorError(
            f"the backup job of '{self._machine.name}' ended before everything was read",
            hint=f"Its scratch files may have had no room in {self._work.scratch.parent}: "
            "name another folder with HYPERSDK_SCRATCH_DIR.",
        )

    # Ending

    def keep_checkpoints(self) -> None:
        """See the port."""
        self._kept = True
        self._work.note(bitmap="")
        with CancelToken().scope():  # the restore point is there
            gone = superseded(self._since, self._options.series, self._bitmap)
            forget_bitmaps(self._power, self._folder, self._machine, gone)

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
        """Whether the loss of the jobs is why the backup failed, rather than ``error`` itself."""
        if not isinstance(error, HyperSDKError) or isinstance(error, Interrupted):
            return False
        with contextlib.suppress(HyperSDKError):
            return bool(self._plans) and not self._lives()
        return False

    def _end(self) -> None:
        """Nothing of ours stays in QEMU but a kept bitmap."""
        if self._ended:
            return
        self._ended = True
        if self._guard is not None:
            self._guard.stop()
        record = self._work.record
        try:
            with CancelToken().scope():  # whose work was cancelled tidies up all the same
                if record.prefix and process.is_alive(self._folder.run):
                    with self._session() as session:
                        fleece.end(session, record.prefix)
                if record.bitmap and not self._kept:
                    forget_bitmaps(self._power, self._folder, self._machine, {record.bitmap})
        except BaseException:
            self._work.leave()
            raise
        self._work.end()


class RunningDiskView:
    """One disk of the moment."""

    def __init__(
        self, plan: Plan, socket: Path, title: str, token: str | None, changed: str | None
    ) -> None:
        self.disk = plan.disk.observed()
        self.checkpoint = token
        self.incremental = changed is not None
        self.reason = plan.reason
        self._title = title
        self._changed = changed
        self._uri = f"nbd+unix:///{quote(plan.disk.name, safe='')}?socket={quote(str(socket))}"

    def open(self, *, full: bool = False) -> BlockSource:
        return NbdSource(self._uri, None if full else self._changed, name=self._title)


class _ScratchGuard:
    """Gives a backup up before its scratch files run out of room: QEMU would pause the guest."""

    def __init__(self, scratch: Path, give_up: Callable[[], None]) -> None:
        self._scratch = scratch
        self._give_up = give_up
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="scratch-guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with contextlib.suppress(OSError):
                if self._low():
                    self._give_up()
                    return

    def _low(self) -> bool:
        there = os.statvfs(self._scratch)
        if there.f_bavail * there.f_frsize >= _RESERVE:
            return False
        return sum(file.stat().st_blocks for file in self._scratch.iterdir()) * 512 >= _WORTHWHILE
