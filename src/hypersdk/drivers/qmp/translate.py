"""QEMU's words as the model's."""

from __future__ import annotations

from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.model.instances import Instance, InstanceState

#: ``RunState`` of the QMP reference → state. Those that are missing are on the way from one to the
#: other (saving, loading, migrating), and the guest stands still in them.
_STATES = {
    "running": InstanceState.RUNNING,
    "guest-panicked": InstanceState.CRASHED,
    "internal-error": InstanceState.CRASHED,
    "shutdown": InstanceState.STOPPED,
}


def state(status: str) -> InstanceState:
    """``status`` as ``query-status`` gives it. Halted for whatever reason is paused."""
    return _STATES.get(status, InstanceState.PAUSED)


def instance(machine: MachineRecord, found: InstanceState) -> Instance:
    return Instance(
        id=machine.id,
        name=machine.name,
        state=found,
        vcpus=machine.all_vcpus,
        memory=machine.all_memory,
        disks=tuple(disk.observed() for disk in machine.disks),
        tags=dict(machine.tags),
        owned=True,
        folder=machine.folder,
    )
