"""Make, run, stop and delete virtual machines.

vSphere has no paused machines: `VsphereLifecycle.pause` suspends, which writes the machine's memory
to its datastore, and it resumes from there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding, usage
from hypersdk.drivers.vsphere.building import Builder
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.inventory import VsphereInventory
from hypersdk.drivers.vsphere.power import OFF, ON, SUSPENDED, bring, patient_task, power_state
from hypersdk.drivers.vsphere.specs import LIMITS, check
from hypersdk.drivers.vsphere.translate import plain
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidState,
    NotFound,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import Instance
from hypersdk.model.specs import InstanceSpec

_HINTS = {
    OFF: "Start it first.",
    ON: "Stop it first.",
    SUSPENDED: "Resume it first, or stop it with force.",
}
_WORDS = {OFF: "stopped", ON: "running", SUSPENDED: "paused"}


class VsphereLifecycle:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.limits: tuple[Limit, ...] = LIMITS

    def create(self, spec: InstanceSpec) -> Instance:
        """Disks are thin, on the datastore of their ``pool`` or the one with most room. Folders
        that are missing are made.

        Raises AlreadyExists, InvalidInput, NotFound, NotSupported, LimitExceeded.
        """
        check(spec)
        refuse_taken(self._connection, spec.name)
        return described(self._connection, Builder(self._connection, spec).build())

    def start(self, name: str, *, paused: bool = False) -> None:
        """A paused instance runs on. Raises InvalidState for a template."""
        vm = self._connection.vm(name)
        if paused:
            raise NotSupported(
                f"'{name}' cannot be started paused: {LIMITS[0].note}",
                hint="Start it, then pause it.",
            )
        found = self._connection.get(vm, "runtime.powerState", "config.template")
        if found["config.template"]:
            raise InvalidState(
                f"'{name}' is a template and is not started",
                hint="Clone it, or make it an instance again first.",
            )
        if found["runtime.powerState"] != ON:
            bring(self._connection, vm, ON, vm.PowerOnVM_Task, f"start '{name}'")

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Asks VMware Tools in the guest to shut it down.

        Raises InvalidState for a paused instance unless forced, GuestAgentMissing when there are no
        tools to ask, OperationTimeout, Interrupted.
        """
        vm = self._connection.vm(name)
        state = power_state(self._connection, vm)
        if state == OFF:
            return
        if force:
            bring(self._connection, vm, OFF, vm.PowerOffVM_Task, f"stop '{name}'")
            return
        if state == SUSPENDED:
            raise InvalidState(
                f"'{name}' is paused, its guest cannot be asked", hint=_HINTS[SUSPENDED]
            )
        self._shut_down(vm, name, timeout)

    def pause(self, name: str) -> None:
        """Suspended: its memory lies on the datastore until it is resumed."""
        vm = self._active(name)
        if power_state(self._connection, vm) == ON:
            bring(self._connection, vm, SUSPENDED, vm.SuspendVM_Task, f"pause '{name}'")

    def resume(self, name: str) -> None:
        vm = self._active(name)
        if power_state(self._connection, vm) == SUSPENDED:
            bring(self._connection, vm, ON, vm.PowerOnVM_Task, f"resume '{name}'")

    def reset(self, name: str) -> None:
        """A paused instance begins anew as well, and is paused again."""
        vm = self._active(name)
        doing = f"reset '{name}'"
        if power_state(self._connection, vm) == ON:
            patient_task(self._connection, vm.ResetVM_Task, doing)
            return
        bring(self._connection, vm, OFF, vm.PowerOffVM_Task, doing)
        bring(self._connection, vm, ON, vm.PowerOnVM_Task, doing)
        bring(self._connection, vm, SUSPENDED, vm.SuspendVM_Task, doing)

    def delete(self, name: str, *, disks: bool = False) -> None:
        """With its snapshots. Without ``disks`` it is only taken out of the inventory: its files
        stay in its folder on the datastore. Disks that other machines use stay in any case.

        Raises InvalidState while it runs, or while linked clones are based on its disks.
        """
        vm = self._connection.vm(name)
        state = power_state(self._connection, vm)
        if state != OFF:
            raise InvalidState(f"'{name}' is {_WORDS.get(state, state)}", hint=_HINTS[ON])
        try:
            if disks:
                self._spare_shared(vm, name)
                patient_task(self._connection, vm.Destroy_Task, f"delete '{name}'")
            else:
                self._connection.call(vm.UnregisterVM, f"take '{name}' out of the inventory")
        except InstanceNotFound:
            raise
        except NotFound as error:
            raise InstanceNotFound(
                f"'{name}' was deleted by somebody else", hint="List what there is."
            ) from error

    def _spare_shared(self, vm: Any, name: str) -> None:
        """Destroying a machine destroys its disks, whoever else uses them: they are detached."""
        shared = usage.users(self._connection, vm)
        if not shared:
            return
        mine = self._disk_files(vm)
        wanted = frozenset().union(*shared.values())
        if not wanted <= set(mine) or self._connection.get(vm, "snapshot")["snapshot"]:
            raise InvalidState(
                f"disks of '{name}' are used by {', '.join(sorted(shared))}",
                hint="Delete those first, or delete it without its disks.",
            )
        changes = [
            vim.vm.device.VirtualDeviceSpec(operation="remove", device=mine[file])
            for file in sorted(wanted)
        ]
        self._connection.task(
            lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes)),
            f"detach disks of '{name}' that others use",
        )

    def _disk_files(self, vm: Any) -> dict[str, Any]:
        """File → disk."""
        devices = self._connection.get(vm, "config.hardware.device")["config.hardware.device"]
        disks: list[Any] = [
            device for device in devices or () if isinstance(device, vim.vm.device.VirtualDisk)
        ]
        return {str(getattr(disk.backing, "fileName", "")): disk for disk in disks}

    def _active(self, name: str) -> Any:
        """Running or paused. Raises InvalidState."""
        vm = self._connection.vm(name)
        if power_state(self._connection, vm) == OFF:
            raise InvalidState(f"'{name}' is stopped", hint=_HINTS[OFF])
        return vm

    def _shut_down(self, vm: Any, name: str, timeout: float) -> None:
        doing = f"stop '{name}'"
        with suppress(InvalidState):  # it is shutting down already, or has just ended
            self._connection.call(vm.ShutdownGuest, doing)
        try:
            self._connection.wait(
                vm,
                ("runtime.powerState",),
                lambda known: known["runtime.powerState"] == OFF,
                timeout,
                doing,
            )
        except OperationTimeout as error:
            raise OperationTimeout(
                f"'{name}' still runs {timeout:g} s after its guest was asked to shut down",
                hint="Wait longer, or stop it with force.",
            ) from error


def refuse_taken(connection: Connection, name: str) -> None:
    """Raises AlreadyExists. vSphere itself refuses a name only within one folder."""
    rows = connection.collect(vim.VirtualMachine, ("name",), finding.root(connection))
    if any(name == plain(row["name"] or "") for _, row in rows):
        raise AlreadyExists(f"there is an instance '{name}'", hint="Choose another name.")


def described(connection: Connection, vm: Any) -> Instance:
    """A machine that was just made, as the inventory shows it."""
    uuid = connection.get(vm, "config.instanceUuid")["config.instanceUuid"]
    return VsphereInventory(connection).instance(uuid)
