"""An inventory that libvirt's events keep current, and those events.

What comes from libvirt's event loop (`ears`) is put into a queue. A thread of each follower takes
the notes in order, asks libvirt about domains that are new or changed, brings the inventory up to
date, and hands the event on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

import libvirt

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.ears import METADATA, Ears, Note
from hypersdk.drivers.libvirt.inventory import LibvirtInventory
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
)
from hypersdk.model.instances import EventKind, Instance, InstanceEvent, InstanceState

#: Seconds between looks at whether the connection still lives.
_LOOK_SECONDS = 0.5

#: ``virDomainEventType`` → state afterwards, for those after which the domain still is there.
_STATES = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: InstanceState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: InstanceState.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: InstanceState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: InstanceState.STOPPED,
    # On its way down, and still running until it says otherwise.
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: InstanceState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: InstanceState.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: InstanceState.CRASHED,
}
_WORDS = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "pmsuspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}
#: Why it stopped, in ``virsh event``'s words (``virDomainEventStoppedDetailType``).
_STOPPED_WORDS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "stopped shutdown",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "stopped destroyed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "stopped crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED: "stopped migrated",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "stopped saved",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "stopped failed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT: "stopped from snapshot",
}


_Notes = queue.SimpleQueue[Note | None]


def _words(note: Note) -> str:
    if note.type == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        return _STOPPED_WORDS.get(note.detail, "stopped")
    return _WORDS.get(note.type, f"event {note.type}.{note.detail}")


class LibvirtEvents:
    """Any number of followers may be at it at once."""

    def __init__(self, connection: Connection, ears: Ears, inventory: LibvirtInventory) -> None:
        self._uri = connection.uri
        self._ears = ears
        self._inventory = inventory

    def follow(self) -> LibvirtFollowing:
        notes: _Notes = queue.SimpleQueue()
        heard_by = self._ears.listen(notes.put)

        def leave() -> None:
            self._ears.leave(notes.put)

        try:
            return LibvirtFollowing(self._uri, self._inventory, heard_by, notes, leave)
        except BaseException:
            leave()
            raise


class LibvirtFollowing:
    """Made by `LibvirtEvents.follow`. Any thread may call it; `next` gives each event once."""

    def __init__(
        self,
        uri: str,
        inventory: LibvirtInventory,
        heard_by: libvirt.virConnect,
        notes: _Notes,
        leave: Callable[[], None],
    ) -> None:
        """``heard_by``: when it is lost, so are events; that of ``inventory`` would come back."""
        self._inventory = inventory
        self._native = heard_by
        self._uri = uri
        self._notes = notes
        self._leave = leave
        self._events: queue.SimpleQueue[InstanceEvent | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._error: HyperSDKError | None = None
        # Registered before: what happens from there on is heard, and done over again in order.
        self._known = {instance.id: instance for instance in self._inventory.instances()}
        #: The last state that each was said to have. libvirt says twice that a machine runs (its
        #: process, its processors), and that it shuts down, which is no state of ours.
        self._told = {instance.id: instance.state for instance in self._known.values()}
        self._thread = threading.Thread(target=self._run, name="libvirt-following", daemon=True)
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
        """As `LibvirtInventory.instances` describes them; those that came since, in full."""
        with self._lock:
            return {instance.name: instance for instance in self._known.values()}

    def next(self, timeout: float) -> InstanceEvent | None:
        """Raises HypervisorUnreachable once the connection is lost and all before was given."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)  # for whoever asks next
            raise self._error or HypervisorError(
                f"following {self._uri} was ended", hint="Follow it anew."
            )
        return event

    def close(self) -> None:
        """May be called several times."""
        self._leave()
        self._notes.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (note := self._awaited()) is not None:
                for event in self._applied(note):
                    self._events.put(event)
        except HyperSDKError as error:
            self._error = error
        finally:
            self._events.put(None)

    def _awaited(self) -> Note | None:
        while True:
            try:
                return self._notes.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if not self._native.isAlive():
                    raise HypervisorUnreachable(
                        f"the connection to {self._uri} was lost", hint="Follow it anew."
                    ) from None

    def _applied(self, note: Note) -> list[InstanceEvent]:
        """Bring what we know up to date; the events that come of it."""
        before = self._known.get(note.id)
        if note.type == libvirt.VIR_DOMAIN_EVENT_UNDEFINED:
            if self._look(note) is not None:  # runs on without a definition, or was renamed
                return []
            return [self._gone(note)]
        if note.type == libvirt.VIR_DOMAIN_EVENT_DEFINED:
            found = self._look(note)
            state = found.state if found else InstanceState.STOPPED
            return [
                InstanceEvent(EventKind.DEFINED, note.id, note.name, state, note.time, _words(note))
            ]
        if note.type not in _STATES:
            if note.type == METADATA:
                self._look(note)
            return []
        state = _STATES[note.type]
        if before is None:
            self._look(note)  # one without a definition was started
        with self._lock:
            if (known := self._known.get(note.id)) is not None:
                self._known[note.id] = replace(known, state=state)
        events = []
        if self._told.get(note.id) is not state:
            self._told[note.id] = state
            words = _words(note)
            events.append(
                InstanceEvent(EventKind.STATE, note.id, note.name, state, note.time, words)
            )
        if state is InstanceState.STOPPED and self._look(note, state) is None:
            events.append(self._gone(note))
        return events

    def _look(self, note: Note, state: InstanceState | None = None) -> Instance | None:
        """Ask libvirt; None when it is not there any more. ``state`` as of the event, when it is
        known: what follows has its own event."""
        try:
            found = self._inventory.instance(note.id)
        except InstanceNotFound:
            return None
        with self._lock:
            self._known[note.id] = found if state is None else replace(found, state=state)
        return found

    def _gone(self, note: Note) -> InstanceEvent:
        with self._lock:
            self._known.pop(note.id, None)
        self._told.pop(note.id, None)
        return InstanceEvent(
            EventKind.REMOVED, note.id, note.name, InstanceState.STOPPED, note.time, _words(note)
        )
