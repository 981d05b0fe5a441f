"""Change the devices of an instance, running or stopped.

What is changed is changed in the running machine, when there is one, and then in the definition:
the next start finds it as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.qmp.blocknodes import devices, tops
from hypersdk.drivers.qmp.commandline import (
    CDROM,
    MEMORY_SLOTS,
    SCSI,
    disk_device,
    disk_node,
    memory_module,
    nic_backend,
    nic_device,
    ports,
)
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.images import Images, names_of
from hypersdk.drivers.qmp.locks import is_locked
from hypersdk.drivers.qmp.monitor import Session
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.specs import new_nic
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.drivers.specs import checked
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.instances import Disk, InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import MIB

#: Seconds a guest has to let go of a device, and until it is asked again.
DETACH_SECONDS, _ASK_SECONDS = 30.0, 6.0
_LIVE = (InstanceState.RUNNING, InstanceState.PAUSED)


@dataclass(frozen=True)
class _Change:
    """An instance whose lock is held."""

    folder: InstanceFolder
    machine: MachineRecord
    #: It has a machine to be changed, not only a definition.
    live: bool


class QmpHotplug:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power, *, detach_seconds: float = DETACH_SECONDS) -> None:
        self._root = root
        self._power = power
        self._detach_seconds = detach_seconds

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:
        """It is made unless it is there. Raises InvalidInput, NotFound; LimitExceeded when the
        machine has no free port, InvalidState for a bus that cannot be plugged while it runs."""
        checked(InstanceSpec(name=name, disks=(disk,)))
        with self._changing(name) as change:
            machine = change.machine
            target = names_of([disk], [known.name for known in machine.disks])[0]
            with Images(change.folder.disks) as images:
                record = images.place(disk, target)
                if record.path in {known.path for known in machine.disks}:
                    raise AlreadyExists(
                        f"'{machine.name}' has {record.path} already", hint="Name another path."
                    )
                if disk.bus == "virtio":
                    record = replace(record, port=_free_port(change, self._power))
                if change.live:
                    self._plug_disk(change, record)
                change.folder.define(machine.with_disk(record))
            return record.observed()

    def _plug_disk(self, change: _Change, record: DiskRecord) -> None:
        name = change.machine.name
        if record.bus == "sata":
            raise InvalidState(
                f"'{name}' runs, and SATA disks cannot be plugged in then",
                hint="Stop it first, or attach the disk as virtio.",
            )
        if record.bus == "scsi" and all(disk.bus != "scsi" for disk in change.machine.disks):
            raise InvalidState(
                f"'{name}' runs without a SCSI controller ({SCSI})",
                hint="Stop it first, or attach the disk as virtio.",
            )
        with self._session(change, f"attach disk '{record.name}' to '{name}'") as session:
            session.send("blockdev-add", disk_node(record))
            try:
                session.send("device_add", disk_device(record))
            except BaseException:
                session.attempt("blockdev-del", node_name=record.name)
                raise

    def detach_disk(self, name: str, disk: str) -> None:
        """While the guest holds on, the definition keeps the disk. Raises Interrupted."""
        with self._changing(name) as change:
            record = change.machine.disk(disk)
            if change.live:
                with self._session(change, f"look at '{change.machine.name}'") as session:
                    nodes = {record.name, *(n for d, n in tops(session).items() if d == disk)}
                self._unplug(change, record.name, f"disk '{disk}'")
                with self._session(change, f"detach disk '{disk}'") as session:
                    for node in sorted(nodes):
                        session.attempt("blockdev-del", node_name=node)
            left = tuple(other for other in change.machine.disks if other.name != disk)
            change.folder.define(replace(change.machine, disks=left))

    def attach_nic(self, name: str, nic: NicSpec) -> str:
        """Raises InvalidInput, AlreadyExists for the MAC address, LimitExceeded when it has no free
        port."""
        checked(InstanceSpec(name=name, nics=(nic,)))
        with self._changing(name) as change:
            machine = change.machine
            record = replace(new_nic(nic), port=_free_port(change, self._power))
            if any(other.mac == record.mac for other in machine.nics):
                raise AlreadyExists(
                    f"'{machine.name}' has a NIC {record.mac} already",
                    hint="Leave the address out.",
                )
            if change.live:
                with self._session(change, f"attach a NIC to '{machine.name}'") as session:
                    session.send("netdev_add", nic_backend(record))
                    try:
                        session.send("device_add", nic_device(record))
                    except BaseException:
                        session.attempt("netdev_del", id=nic_backend(record)["id"])
                        raise
            change.folder.define(replace(machine, nics=(*machine.nics, record)))
            return record.mac

    def detach_nic(self, name: str, mac: str) -> None:
        with self._changing(name) as change:
            machine = change.machine
            found = [nic for nic in machine.nics if nic.mac == mac.lower()]
            if not found:
                known = ", ".join(nic.mac for nic in machine.nics) or "none"
                raise NotFound(f"'{machine.name}' has no NIC {mac}", hint=f"Its NICs: {known}.")
            if change.live:
                self._unplug(change, found[0].device, f"NIC {mac}")
                with self._session(change, f"detach NIC {mac}") as session:
                    session.attempt("netdev_del", id=nic_backend(found[0])["id"])
            left = tuple(nic for nic in machine.nics if nic != found[0])
            change.folder.define(replace(machine, nics=left))

    def set_vcpus(self, name: str, count: int) -> None:
        """Only processors that were plugged in while it runs can be taken from a running guest, and
        under emulation none: QEMU (7.2) keeps what the guest has let go of.

        Raises InvalidInput; OperationTimeout when it keeps one.
        """
        if count < 1:
            raise InvalidInput(f"'{name}' cannot have {count} vCPUs", hint="At least one.")
        with self._changing(name) as change:
            room = change.machine.vcpus_maximum
            if count > room:
                raise LimitExceeded(
                    f"'{change.machine.name}' has room for {room} vCPUs, not for {count}",
                    hint="Make it with more: vcpus_maximum.",
                )
            machine = change.machine
            if not change.live:
                change.folder.define(replace(machine, vcpus=count, processors=()))
            elif count > machine.all_vcpus:
                self._plug_vcpus(change, count - machine.all_vcpus)
            elif count < machine.all_vcpus:
                self._unplug_vcpus(change, machine.all_vcpus - count)

    def _plug_vcpus(self, change: _Change, more: int) -> None:
        machine = change.machine
        with self._session(change, f"give more vCPUs to '{machine.name}'") as session:
            slots = session.execute("query-hotpluggable-cpus")
            free = [slot for slot in slots if "qom-path" not in slot]
            free.sort(key=lambda slot: int(slot["props"]["socket-id"]))
            for slot in free[:more]:
                socket = int(slot["props"]["socket-id"])
                name = f"cpu{socket}"
                session.send("device_add", {"driver": slot["type"], "id": name, **slot["props"]})
                machine = replace(machine, processors=(*machine.processors, socket))
                change.folder.define(machine)

    def _unplug_vcpus(self, change: _Change, fewer: int) -> None:
        machine = change.machine
        if len(machine.processors) < fewer:
            raise InvalidState(
                f"'{machine.name}' was started with more vCPUs than that", hint="Stop it first."
            )
        for socket in reversed(machine.processors[-fewer:]):
            self._unplug(change, f"cpu{socket}", f"processor {socket}")
            left = tuple(other for other in machine.processors if other != socket)
            machine = replace(machine, processors=left)
            change.folder.define(machine)

    def set_memory(self, name: str, size: int) -> None:
        """A running instance gets a memory module of what is missing; memory can be taken away only
        while it is stopped. Raises InvalidInput, InvalidState."""
        if size < MIB or size % MIB:
            raise InvalidInput(f"'{name}' cannot have {size} bytes of memory", hint="Whole MiB.")
        with self._changing(name) as change:
            machine = change.machine
            room = max(machine.memory_maximum, machine.all_memory)
            if size > room:
                raise LimitExceeded(
                    f"'{machine.name}' has room for {room} bytes of memory, not for {size}",
                    hint="Make it with more: memory_maximum.",
                )
            if not change.live:
                change.folder.define(replace(machine, memory=size, modules=()))
                return
            if size < machine.all_memory:
                raise InvalidState(
                    f"'{machine.name}' runs, and no memory can be taken from it",
                    hint="Stop it first.",
                )
            if size > machine.all_memory:
                self._plug_memory(change, size - machine.all_memory)

    def _plug_memory(self, change: _Change, size: int) -> None:
        machine = change.machine
        if len(machine.modules) >= MEMORY_SLOTS:
            raise LimitExceeded(
                f"all {MEMORY_SLOTS} memory slots of '{machine.name}' are in use",
                hint="Set its memory while it is stopped: it then needs none.",
            )
        backend, module = memory_module(len(machine.modules), size)
        with self._session(change, f"give more memory to '{machine.name}'") as session:
            session.send("object-add", backend)
            try:
                session.send("device_add", module)
            except BaseException:
                session.attempt("object-del", id=backend["id"])
                raise
        change.folder.define(replace(machine, modules=(*machine.modules, size)))

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:
        """In place of the medium that is in it. Raises InvalidInput, NotFound for drive or image,
        InvalidState when the guest has locked the drive."""
        if not image.startswith("/"):
            raise InvalidInput(
                f"the path of an image must be absolute, not '{image}'", hint="Begin with a slash."
            )
        if not Path(image).exists():
            raise NotFound(f"there is no image {image}", hint="Name a file of this host.")

        def inserted(session: Session) -> None:
            session.execute(
                "blockdev-change-medium",
                id=CDROM,
                filename=image,
                format="raw",
                read_only_mode="read-only",
            )

        return self._change_media(name, image, drive, inserted)

    def eject_media(self, name: str, drive: str | None = None) -> None:
        """Ejecting twice is no error. Raises NotFound, InvalidState when the guest locked it."""

        def ejected(session: Session) -> None:
            if "inserted" in devices(session).get(CDROM, {}):
                session.execute("eject", id=CDROM)

        self._change_media(name, "", drive, ejected)

    def _change_media(
        self, name: str, image: str, drive: str | None, change_it: Callable[[Session], None]
    ) -> str:
        with self._changing(name) as change:
            machine = change.machine
            if machine.cdrom is None or drive not in (None, CDROM):
                raise NotFound(
                    f"'{machine.name}' has no CD drive{f' {drive!r}' if drive else ''}",
                    hint="Make it with a cdrom.",
                )
            if change.live:
                with self._session(change, f"change the medium of '{machine.name}'") as session:
                    change_it(session)
            change.folder.define(replace(machine, cdrom=image))
        return CDROM

    def _unplug(self, change: _Change, device: str, title: str) -> None:
        """Ask the guest to let go of a device, until it has."""
        name = change.machine.name
        deadline = time.monotonic() + self._detach_seconds
        ask = 0.0
        while True:
            token_in_force().check()
            now = time.monotonic()
            with self._session(change, f"detach {title} from '{name}'") as session:
                known = {entry["name"] for entry in _peripherals(session)}
                if device not in known:
                    return
                if now >= ask:
                    session.attempt("device_del", id=device)
                    ask = now + _ASK_SECONDS
            if now > deadline:
                raise OperationTimeout(
                    f"'{name}' does not let go of {title} within {self._detach_seconds:g} s",
                    hint="Its guest has to be up and to agree; or stop it first.",
                )
            time.sleep(WAIT_SLICE / 4)

    @contextmanager
    def _session(self, change: _Change, doing: str) -> Iterator[Session]:
        with native(doing), self._power.session(change.folder, change.machine.name) as session:
            yield session

    @contextmanager
    def _changing(self, name: str) -> Iterator[_Change]:
        folder = self._root.find(name)
        with folder.locked() as machine:
            state = self._power.state(folder, machine.name)
            if state not in (*_LIVE, InstanceState.STOPPED):
                raise InvalidState(f"'{machine.name}' is {state.value}", hint="Stop it first.")
            if is_locked(folder.path / "view"):
                raise InvalidState(
                    f"a backup is reading '{machine.name}'", hint="Wait until it ends."
                )
            yield _Change(folder, machine, state in _LIVE)


def _peripherals(session: Session) -> list[dict[str, Any]]:
    """All devices that have a name."""
    found: list[dict[str, Any]] = session.execute("qom-list", path="/machine/peripheral")
    return found


def _free_port(change: _Change, power: Power) -> int:
    """A running machine has as many ports as when it was started."""
    machine = change.machine
    count = power.ports(change.folder) if change.live else ports(machine)
    free = sorted(set(range(count)) - machine.ports)
    if not free:
        raise LimitExceeded(
            f"'{machine.name}' has no free PCIe port", hint="Stop it and start it again."
        )
    return free[0]
