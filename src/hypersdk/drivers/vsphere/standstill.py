"""That a stopped machine stayed stopped while it was read without a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.machine import Machine
from hypersdk.model.errors import InvalidState

#: Events that say that somebody may have written to its disks.
_MOVED = ("VmPoweredOnEvent", "VmStartingEvent", "VmReconfiguredEvent", "VmMigratedEvent",
          "VmRelocatedEvent")  # fmt: skip


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


def _moved(name: str, how: str) -> InvalidState:
    return InvalidState(
        f"'{name}' did not stand still while it was read: {how}",
        hint="Run it again: a running machine is read from a snapshot.",
    )
