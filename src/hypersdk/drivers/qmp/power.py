"""Start, watch, talk to and end the QEMU process of an instance.

An instance is started halted (``-S``) by a QEMU that goes to the background when all its sockets
listen. It then belongs to nobody: it outlives us, and whoever uses the folder next finds it by its
files. What a crash of ours leaves at any point is one of these, and each is told from the others:

=============================  ==========================  =====================================
we die                         what is there               the instance
=============================  ==========================  =====================================
before QEMU is forked          ``run``, lock is free       is stopped; the next start clears it
while QEMU starts              the lock is held            is what QEMU says as soon as it listens
before the guest is let go     QEMU, halted                is paused: resume, start or stop it
=============================  ==========================  =====================================
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from qemu.qmp import QMPError

from hypersdk.datapath import qemutools
from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken, token_in_force
from hypersdk.drivers.qmp import acceleration, eventlog, process, translate
from hypersdk.drivers.qmp.commandline import PORTS_MAX, command_line, ports
from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.drivers.qmp.emulator import Emulator, installed
from hypersdk.drivers.qmp.errors import from_words, native
from hypersdk.drivers.qmp.monitor import ANSWER_SECONDS, Monitors, Session
from hypersdk.drivers.qmp.state import InstanceFolder, replace_file
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InvalidState,
    LimitExceeded,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState

#: Seconds QEMU may take until it is in the background.
_START_SECONDS = 60.0
_STATUS_SECONDS = 5.0
#: Seconds between two looks at a process that comes up, and at a job.
_LOOK_SECONDS = 0.02


class Power:
    """May be used by any number of threads. Those who change an instance hold its lock."""

    def __init__(
        self, root: Path, monitors: Monitors, *, patience: float = _STATUS_SECONDS
    ) -> None:
        """``patience``: seconds an instance that hangs holds up whoever asks for its state."""
        self._root = root
        self._monitors = monitors
        self.patience = patience

    # Looking

    def state(self, folder: InstanceFolder, name: str) -> InstanceState:
        """As QEMU says it now; UNKNOWN when it does not answer."""
        deadline = time.monotonic() + self.patience
        while process.is_alive(folder.run):
            try:
                with self.session(folder, name, seconds=self.patience) as session:
                    return translate.state(session.execute("query-status")["status"])
            except HyperSDKError as error:
                # It ends, or somebody else is just starting it.
                if time.monotonic() > deadline or not isinstance(error, HypervisorUnreachable):
                    return InstanceState.UNKNOWN
            token_in_force().check()
            time.sleep(_LOOK_SECONDS)
        return InstanceState.CRASHED if self._died(folder) else InstanceState.STOPPED

    def _died(self, folder: InstanceFolder) -> bool:
        """Whether a process that is gone was killed, or killed itself, while the guest ran."""
        run = folder.run
        if not eventlog.was_greeted(run) or eventlog.ended_orderly(run):
            return False
        return bool(_start_note(run).get("boot") == process.boot_id())  # else the host went down

    def acceleration(self, folder: InstanceFolder) -> str:
        """``kvm`` or ``tcg``; of the run that is there."""
        return str(_start_note(folder.run).get("acceleration", ""))

    def ports(self, folder: InstanceFolder) -> int:
        """How many PCIe ports the run that is there was started with."""
        return int(_start_note(folder.run).get("ports", 0))

    # Talking

    @contextmanager
    def session(
        self, folder: InstanceFolder, name: str, *, seconds: float = ANSWER_SECONDS
    ) -> Iterator[Session]:
        """A short conversation; errors of the block become ours. Raises HypervisorUnreachable when
        no QEMU is there."""
        with (
            native(f"control '{name}'"),
            self._monitors.session(
                folder.run / "qmp", folder.path / "monitor", name, seconds=seconds
            ) as session,
        ):
            yield session

    def job(
        self, folder: InstanceFolder, name: str, command: str, doing: str, **arguments: Any
    ) -> None:
        """Run a block job to its end, however long it takes; cancelled with the caller's token.

        Raises what QEMU's words mean, Interrupted.
        """
        job = f"hypersdk-{os.urandom(6).hex()}"
        with native(doing), self.session(folder, name) as session:
            session.execute(command, job_id=job, **arguments)
        try:
            problem = self._job_ended(folder, name, job)
        except BaseException:
            # Whose work was cancelled ends its job all the same.
            with (
                CancelToken().scope(),
                suppress(QMPError, HypervisorError),
                self.session(folder, name) as session,
            ):
                session.attempt("job-cancel", id=job)
            raise
        if problem:
            raise from_words(problem, doing)

    def _job_ended(self, folder: InstanceFolder, name: str, job: str) -> str:
        """Its complaint; empty when it ended well."""
        while True:
            token_in_force().check()
            with self.session(folder, name) as session:
                found = [entry for entry in session.execute("query-jobs") if entry["id"] == job]
                if not found:
                    return ""
                status = found[0]["status"]
                if status == "concluded":
                    session.attempt("job-dismiss", id=job)
                    return str(found[0].get("error", ""))
                if status == "ready":
                    session.attempt("job-complete", id=job)
            time.sleep(_LOOK_SECONDS)

    # Starting

    def launch(
        self,
        folder: InstanceFolder,
        machine: MachineRecord,
        *,
        paused: bool = False,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Start a stopped instance. ``prepare`` is called while it is halted, before its first
        instruction. When it fails no process is left.

        Raises InvalidState when a disk is in use, LimitExceeded, NotFound for a disk that is gone,
        HypervisorError with QEMU's words.
        """
        emulator = installed()
        doing = f"start '{machine.name}'"
        accelerated = self._accelerated(machine, emulator)
        self._end_strays(folder)
        folder.clear()
        with native(doing):
            folder.run.mkdir(mode=0o700)
        if ports(machine) > PORTS_MAX:
            raise LimitExceeded(
                f"'{machine.name}' has more devices than a machine has room for",
                hint="Detach some, or attach disks as scsi.",
            )
        try:
            note = {
                "boot": process.boot_id(),
                "acceleration": accelerated,
                "ports": ports(machine),
            }
            with native(doing):
                replace_file(folder.run / "start.json", json.dumps(note).encode())
            command = command_line(machine, folder.run, emulator, accelerated)
            self._forked(folder, command, doing)
            self._greet(folder, machine.name)
            if prepare is not None:
                prepare()
            if not paused:
                with self.session(folder, machine.name) as session:
                    session.execute("cont")
        except BaseException:
            with CancelToken().scope():  # whose work was cancelled leaves no process behind
                process.end(folder.run, patience=0)
                folder.clear()
            raise

    def _accelerated(self, machine: MachineRecord, emulator: Emulator) -> str:
        if machine.acceleration == "tcg":
            return "tcg"
        found = acceleration.best(self._root, emulator)
        if machine.acceleration == "kvm" and found != "kvm":
            raise NotSupported(
                f"'{machine.name}' asks for KVM, and no machine boots with it here",
                hint="acceleration='tcg' runs it without, much slower.",
            )
        return found

    def _end_strays(self, folder: InstanceFolder) -> None:
        """A process whose ``run`` somebody removed under it still has the disks."""
        for pid, found in process.processes(folder.path):
            if found == folder.run / "pid":
                process.end_stray(pid, found)

    def _forked(self, folder: InstanceFolder, command: list[str], doing: str) -> None:
        """Returns when QEMU is in the background, with its sockets listening."""
        log = folder.run / "log"
        with native(doing), open(log, "wb") as complaints:
            alive = process.claimed(folder.run)
            try:
                starter = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    env=qemutools.environment(),
                    pass_fds=(alive,),
                    start_new_session=True,
                )
            finally:
                os.close(alive)
        with starter:
            try:
                status = _exit_status(starter, doing)
            except BaseException:
                starter.kill()
                raise
        if status != 0:
            words = log.read_text(errors="replace").replace("qemu-system-x86_64: ", "")
            raise from_words(words or f"QEMU ended with status {status}", doing)

    def _greet(self, folder: InstanceFolder, name: str) -> None:
        """Have QEMU report its events; see `eventlog`."""
        run = folder.run
        with self._monitors.session(run / "events", folder.path / "monitor", name):
            pass

    def resume(self, folder: InstanceFolder, name: str) -> None:
        """Let a halted guest go on, also one whose starter died before it could."""
        if not eventlog.was_greeted(folder.run):
            self._greet(folder, name)
        with self.session(folder, name) as session:
            if session.execute("query-status")["status"] == "suspended":
                session.execute("system_wakeup")
            else:
                session.execute("cont")

    # Ending

    def switch_off(self, folder: InstanceFolder, name: str) -> None:
        """End the process at once: QEMU is told to quit, which saves its records of changes, and
        killed when it does not. Returns when nothing of it lives; the instance is then stopped."""
        if process.is_alive(folder.run):
            patience = 0.0  # one that does not answer is killed
            with (
                suppress(HyperSDKError),
                self.session(folder, name, seconds=self.patience) as session,
            ):
                session.send("quit", {}, self.patience)
                patience = process.SAVE_SECONDS
            process.wait_ended(folder.run, patience)
            process.end(folder.run, patience=0)
        folder.clear()


def refuse_unless_stopped(found: InstanceState, name: str, what: str) -> None:
    """Raises InvalidState."""
    if found is not InstanceState.STOPPED:
        raise InvalidState(f"'{name}' is {found.value}, so {what}", hint="Stop it first.")


def _exit_status(starter: subprocess.Popen[bytes], doing: str) -> int:
    token = token_in_force()
    deadline = time.monotonic() + _START_SECONDS
    while True:
        token.check()
        with suppress(subprocess.TimeoutExpired):
            return starter.wait(WAIT_SLICE)
        if time.monotonic() > deadline:
            raise OperationTimeout(
                f"cannot {doing}: QEMU is not up within {_START_SECONDS:g} s",
                hint="The host may be too busy, or a disk's storage does not answer.",
            )


def _start_note(run: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((run / "start.json").read_text())
        return found
    return {}
