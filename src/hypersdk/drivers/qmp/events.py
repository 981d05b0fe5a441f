"""Be told what happens to instances: from their folders, and from QEMU's log of events.

A thread of each follower looks every fifth of a second which instances there are, which processes
live, and what QEMU has reported since. Nothing is asked of QEMU, so followers cost it nothing.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from hypersdk.drivers.qmp import process, translate
from hypersdk.drivers.qmp.eventlog import Report, parsed
from hypersdk.drivers.qmp.inventory import QmpInventory
from hypersdk.drivers.qmp.locks import is_locked
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.model.errors import HyperSDKError, HypervisorError, InstanceNotFound
from hypersdk.model.instances import EventKind, Instance, InstanceEvent, InstanceState

_LOOK_SECONDS = 0.2
#: QEMU's event → state after it, for those that are told.
_STATES = {
    "RESUME": InstanceState.RUNNING,
    "WAKEUP": InstanceState.RUNNING,
    "STOP": InstanceState.PAUSED,
    "SUSPEND": InstanceState.PAUSED,
    "GUEST_PANICKED": InstanceState.CRASHED,
}


class QmpEvents:
    """Any number of followers may be at it at once."""

    def __init__(self, root: Root, inventory: QmpInventory) -> None:
        self._root = root
        self._inventory = inventory

    def follow(self) -> QmpFollowing:
        """See the port."""
        return QmpFollowing(self._root, self._inventory)


class _Log:
    """Where a follower is in the log of one run."""

    def __init__(self, folder: InstanceFolder, *, from_now: bool = True) -> None:
        self._path = folder.run / "events.log"
        self._number = -1
        self._offset = 0
        if from_now:
            self.read()

    def read(self) -> list[Report]:
        """What was reported since; from the beginning when a new run has begun."""
        with suppress(FileNotFoundError), open(self._path, "rb") as log:
            number = os.fstat(log.fileno()).st_ino
            if number != self._number:
                self._number, self._offset = number, 0
            log.seek(self._offset)
            text = log.read()
            whole = text.rfind(b"\n") + 1
            self._offset += whole
            return list(parsed(text[:whole]))
        return []


class QmpFollowing:
    """Made by `QmpEvents.follow`. Any thread may call it; `next` gives each event once."""

    def __init__(self, root: Root, inventory: QmpInventory) -> None:
        self._root = root
        self._inventory = inventory
        self._events: queue.SimpleQueue[InstanceEvent | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._error: HyperSDKError | None = None
        self._stopped = threading.Event()
        root.check()
        self._logs: dict[InstanceFolder, _Log] = {}
        self._known: dict[InstanceFolder, Instance] = {}
        for folder in root.folders():
            # The log first: what is reported while we look is told as well.
            self._logs[folder] = _Log(folder)
            with suppress(InstanceNotFound):
                self._known[folder] = inventory.observed(folder)
        self._thread = threading.Thread(target=self._run, name="qmp-following", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def instances(self) -> Mapping[str, Instance]:
        """See the port."""
        with self._lock:
            return {instance.name: instance for instance in self._known.values()}

    def next(self, timeout: float) -> InstanceEvent | None:
        """Raises HypervisorUnreachable, HypervisorDenied once the folder is out of reach."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)  # for whoever asks next
            raise self._error or HypervisorError(f"following {self._root.path} was ended")
        return event

    def close(self) -> None:
        """May be called several times."""
        self._stopped.set()
        self._thread.join()
        self._events.put(None)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(_LOOK_SECONDS):
                self._look()
        except HyperSDKError as error:
            self._error = error
            self._events.put(None)

    def _look(self) -> None:
        self._root.check()
        there = set(self._root.folders())
        for folder in set(self._known) - there:
            self._gone(folder)
        for folder in there:
            with suppress(InstanceNotFound):
                self._look_at(folder)

    def _look_at(self, folder: InstanceFolder) -> None:
        if folder not in self._known:
            self._logs[folder] = _Log(folder, from_now=False)
            machine = folder.definition()
            made = translate.instance(machine, InstanceState.STOPPED)
            self._tell(folder, EventKind.DEFINED, made, "defined")
        for report in self._logs[folder].read():
            state = _STATES.get(report.name)
            if state is not None and state is not self._known[folder].state:
                self._changed(folder, state, report.name.lower(), report.time)
        self._look_at_process(folder)
        self._redefined(folder)

    def _look_at_process(self, folder: InstanceFolder) -> None:
        """Whether it came or went. While somebody is at it, it may be halted only for a moment."""
        if is_locked(folder.path / "lock"):
            return
        before = self._known[folder]
        alive = process.is_alive(folder.run)
        if alive != (before.state not in (InstanceState.STOPPED, InstanceState.CRASHED)):
            found = self._inventory.observed(folder)
            if found.state is not before.state and found.state is not InstanceState.UNKNOWN:
                self._changed(folder, found.state, "process", datetime.now(UTC))

    def _redefined(self, folder: InstanceFolder) -> None:
        """Devices that came or went change what is listed, and are no event."""
        machine = folder.definition()
        known = self._known[folder]
        disks = tuple(disk.observed() for disk in machine.disks)
        if (disks, machine.all_vcpus, machine.all_memory) != (
            known.disks,
            known.vcpus,
            known.memory,
        ):
            changed = replace(
                known, disks=disks, vcpus=machine.all_vcpus, memory=machine.all_memory
            )
            with self._lock:
                self._known[folder] = changed

    def _changed(
        self, folder: InstanceFolder, state: InstanceState, words: str, time: datetime
    ) -> None:
        found = replace(self._known[folder], state=state)
        self._tell(folder, EventKind.STATE, found, words, time)

    def _gone(self, folder: InstanceFolder) -> None:
        with self._lock:
            known = self._known.pop(folder)
        self._logs.pop(folder, None)
        stopped = replace(known, state=InstanceState.STOPPED)
        self._put(EventKind.REMOVED, stopped, "removed", datetime.now(UTC))

    def _tell(
        self,
        folder: InstanceFolder,
        kind: EventKind,
        found: Instance,
        words: str,
        time: datetime | None = None,
    ) -> None:
        with self._lock:
            self._known[folder] = found
        self._put(kind, found, words, time or datetime.now(UTC))

    def _put(self, kind: EventKind, found: Instance, words: str, time: datetime) -> None:
        self._events.put(InstanceEvent(kind, found.id, found.name, found.state, time, words))
