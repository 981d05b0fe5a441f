"""That a stopped machine stayed stopped: while it was read without a snapshot, and between two
runs, of which the second goes on with what the first one read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.machine import Machine
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import InstanceState

#: Events that say that somebody may have written to its disks.
_MOVED = ("VmPoweredOnEvent", "VmStartingEvent", "VmReconfiguredEvent", "VmMigratedEvent",
          "VmRelocatedEvent")  # fmt: skip
#: vSphere answers with so many at most.
_MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Standstill:
    """Begun before the first byte is read."""

    connection: Connection
    machine: Machine
    #: By vSphere's clock.
    began: datetime

    @classmethod
    def begin(cls, connection: Connection, machine: Machine) -> Standstill:
        service = connection.object(vim.ServiceInstance, "ServiceInstance")
        return cls(connection, machine, connection.call(service.CurrentTime, "ask for the time"))

    def check(self) -> None:
        """Raises InvalidState when it ran, or its disks were changed, since."""
        vm, name = self.machine.vm, self.machine.name
        now = Machine.observe(self.connection, vm)
        if now.instance.state is not self.machine.instance.state:
            raise _moved(name, f"it is {now.instance.state.value} now")
        if now.disks() != self.machine.disks():
            raise _moved(name, "its disks are others now")
        if events := self._events(vm):
            raise _moved(name, str(events[0].fullFormattedMessage or type(events[0]).__name__))

    def _events(self, vm: Any) -> list[Any]:
        events = vim.event.EventFilterSpec
        wanted = events(
            entity=events.ByEntity(entity=vm, recursion=events.RecursionOption.self),
            time=events.ByTime(beginTime=self.began),
            eventTypeId=list(_MOVED),
        )
        manager = self.connection.content.eventManager
        found = self.connection.call(
            lambda: manager.QueryEvents(wanted), f"look at the events of '{self.machine.name}'"
        )
        return [event for event in found or () if event.createdTime >= self.began]


class Moments:
    """Moments of a stopped machine, by name, so that a later run can tell whether it ran since.

    A moment is named by the last event of the machine then. What is compared later: it is stopped,
    its disks have the same identity and size, that event is still in vSphere's memory (which thus
    reaches back so far), and none that came after it speaks of a start, a change or a move.
    """

    def __init__(self, connection: Connection, machine: Machine) -> None:
        self._connection, self._machine = connection, machine

    def now(self) -> str:
        """Before the first byte is read. Empty where there is nothing to name it by."""
        machine = self._machine
        if machine.instance.state is not InstanceState.STOPPED:
            return ""
        events = self._events(None)
        if not events or any(disk.shared for disk in machine.disks()):
            return ""
        last = max(events, key=lambda event: int(event.key))
        return json.dumps(
            {"event": int(last.key), "time": last.createdTime.isoformat(), "disks": self._disks()}
        )

    def still(self, moment: str) -> bool:
        """Nothing can have been written since then; False also when that cannot be told."""
        try:
            then = json.loads(moment)
            key, began = int(then["event"]), datetime.fromisoformat(then["time"])
        except (ValueError, TypeError, KeyError):
            return False
        if self._machine.instance.state is not InstanceState.STOPPED:
            return False
        events = self._events(began)
        known = any(int(event.key) == key for event in events)
        moved = any(int(event.key) > key and _kind(event) in _MOVED for event in events)
        whole = len(events) < _MOST_EVENTS
        return known and whole and not moved and bool(then.get("disks") == self._disks())

    def _disks(self) -> list[list[object]]:
        return [[each.disk.name, each.uuid, each.disk.size] for each in self._machine.disks()]

    def _events(self, began: datetime | None) -> Sequence[Any]:
        events = vim.event.EventFilterSpec
        wanted = events(
            entity=events.ByEntity(entity=self._machine.vm, recursion=events.RecursionOption.self)
        )
        if began is not None:
            wanted.time = events.ByTime(beginTime=began)
        manager = self._connection.content.eventManager
        found = self._connection.call(
            lambda: manager.QueryEvents(wanted), f"look at the events of '{self._machine.name}'"
        )
        return list(found or ())


def _kind(event: Any) -> str:
    return type(event).__name__.rpartition(".")[2]


def _moved(name: str, how: str) -> InvalidState:
    return InvalidState(
        f"'{name}' did not stand still while it was read: {how}",
        hint="Run it again: a running machine is read from a snapshot.",
    )
