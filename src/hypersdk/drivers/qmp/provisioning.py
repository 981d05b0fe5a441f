"""The ``provisioning`` part: instances from what restore points hold."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from hypersdk.datapath.image import ImageSink, create_image
from hypersdk.datapath.ports import BlockSink
from hypersdk.datapath.raw import RawSink
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.qmp import translate
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord, decode
from hypersdk.drivers.qmp.emulator import installed
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.images import FORMATS
from hypersdk.drivers.qmp.power import Power, refuse_unless_stopped
from hypersdk.drivers.qmp.specs import new_mac
from hypersdk.drivers.qmp.state import InstanceFolder, Root, folder_name
from hypersdk.drivers.qmp.viewparts import DEFINITION_KIND
from hypersdk.model.errors import AlreadyExists, InstanceNotFound, InvalidInput, NotFound
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState, Purpose


class QmpProvisioning:
    """Disks come into the folder of their instance, or into the one that the placement names."""

    kinds = frozenset({DEFINITION_KIND})

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power

    def build(
        self, definition: Definition, disks: Sequence[Disk], placement: Placement
    ) -> QmpBuilding:
        """See the port. Raises InvalidInput for a pool: there are none here."""
        saved = _decoded(definition)
        if placement.pool:
            raise InvalidInput(
                f"there is no pool '{placement.pool}': QEMU alone has none",
                hint="Name a folder, or neither.",
            )
        folder = Path(placement.folder) if placement.folder else None
        if folder is not None and not folder.is_dir():
            raise NotFound(f"there is no folder {folder}", hint="Make it first.")
        name = placement.name or saved.name
        self._refuse_existing(name, placement)
        self._root.check()
        machine = self._adjusted(saved, name, placement)
        return QmpBuilding(self._root, self._power, machine, disks, folder, placement.overwrite)

    def discard(self, name: str, files: Sequence[str]) -> None:
        """See the port."""
        with suppress(InstanceNotFound):
            folder = self._root.find(name)
            with folder.locked() as machine:
                self._power.switch_off(folder, machine.name)
                self._root.remove(folder, [])
        for file in files:
            with native(f"remove {file}"):
                Path(file).unlink(missing_ok=True)

    def _adjusted(self, saved: MachineRecord, name: str, placement: Placement) -> MachineRecord:
        """What it was, as what it is going to be: its snapshots were not saved."""
        holder = self._holder(saved.id)
        keeps_id = holder in (None, name)
        new_macs = not keeps_id if placement.new_macs is None else placement.new_macs
        nics = tuple(
            replace(
                nic,
                mac=new_mac() if new_macs else nic.mac,
                isolated=nic.isolated or placement.isolated,
            )
            for nic in saved.nics
        )
        cdrom = saved.cdrom if saved.cdrom and Path(saved.cdrom).exists() else None
        return replace(
            saved,
            id=saved.id if keeps_id else str(uuid.uuid4()),
            name=name,
            machine=saved.machine or installed().machine,
            nics=nics,
            cdrom="" if saved.cdrom is not None and cdrom is None else cdrom,
            snapshots=(),
            current="",
            tags={**saved.tags, **placement.tags},
        )

    def _refuse_existing(self, name: str, placement: Placement) -> None:
        if not (self._root.path / folder_name(name)).exists():
            return
        if not placement.overwrite:
            raise AlreadyExists(
                f"'{name}' exists in {self._root.path}",
                hint="Choose another name with --as, or replace it with --overwrite.",
            )
        folder = self._root.find(name)
        refuse_unless_stopped(self._power.state(folder, name), name, "it cannot be replaced")

    def _holder(self, identity: str) -> str | None:
        with suppress(InstanceNotFound):
            found = self._root.find(identity).definition()
            return found.name if found.id == identity else None
        return None


class QmpBuilding:
    """See the port. Nothing is made before the first disk is asked for."""

    def __init__(
        self,
        root: Root,
        power: Power,
        machine: MachineRecord,
        disks: Sequence[Disk],
        folder: Path | None,
        overwrite: bool,
    ) -> None:
        self._root, self._power = root, power
        self._overwrite = overwrite
        self._folder = folder
        self._open = ExitStack()
        self._draft: InstanceFolder | None = None
        self._sinks: dict[str, RawSink | ImageSink] = {}
        self._disks = {disk.name: disk for disk in disks}
        self._machine = self._planned(machine)
        for disk in disks:
            if folder is not None and not overwrite and Path(self.path(disk.name)).exists():
                raise AlreadyExists(
                    f"{self.path(disk.name)} exists already",
                    hint="Choose another folder, or replace it with --overwrite.",
                )

    @property
    def name(self) -> str:
        return self._machine.name

    def path(self, disk: str) -> str:
        """See the port."""
        final = self._root.path / folder_name(self.name) / "disks"
        return str((self._folder or final) / self._file(disk))

    def sink(self, disk: str) -> BlockSink:
        """See the port."""
        if self._draft is None:
            with native(f"create instance '{self.name}'"):
                draft = self._root.draft(
                    self.name, f"{self._machine.id}-built", replacing=self._overwrite
                )
                self._draft = self._open.enter_context(draft)
        path = (self._folder or self._draft.disks) / self._file(disk)
        with native(f"make disk '{disk}' of '{self.name}'"):
            made = create_image(path, self._disks[disk].size, self._format(disk), self._overwrite)
        self._open.callback(made.close)
        self._sinks[disk] = made
        return made.clone()

    def commit(self) -> Instance:
        """See the port. What had the name disappears in the moment when this appears."""
        for disk in self._disks:
            if disk not in self._sinks:
                self.sink(disk).close()
        assert self._draft is not None
        with native(f"make the disks of '{self.name}' durable"):
            for made in self._sinks.values():
                made.commit()
        with ExitStack() as held:
            old: InstanceFolder | None = None
            if self._overwrite:
                with suppress(InstanceNotFound):
                    old = self._root.find(self.name)
                    held.enter_context(old.locked())
                    state = self._power.state(old, self.name)
                    refuse_unless_stopped(state, self.name, "it cannot be replaced")
            self._root.publish(self._draft, self._machine, instead_of=old)
        return translate.instance(self._machine, InstanceState.STOPPED)

    def _planned(self, machine: MachineRecord) -> MachineRecord:
        """With the disks of the restore point, where they are going to be."""
        known = {disk.name: disk for disk in machine.disks}
        taken = set(machine.ports)
        disks = []
        for disk in self._disks.values():
            if disk.purpose is not Purpose.DISK:
                continue
            before = known.get(disk.name)
            port = before.port if before else min(set(range(len(taken) + 1)) - taken)
            taken.add(port)
            disks.append(
                DiskRecord(
                    name=disk.name,
                    path=self._path_of(machine, disk.name),
                    format=self._format(disk.name),
                    size=disk.size,
                    bus=before.bus if before else "virtio",
                    port=port,
                )
            )
        files = {disk.purpose: name for name, disk in self._disks.items()}
        kernel, initrd = files.get(Purpose.KERNEL), files.get(Purpose.INITRD)
        return replace(
            machine,
            disks=tuple(disks),
            kernel=self._path_of(machine, kernel) if kernel else machine.kernel,
            initrd=self._path_of(machine, initrd) if initrd else machine.initrd,
        )

    def _path_of(self, machine: MachineRecord, disk: str) -> str:
        final = self._root.path / folder_name(machine.name) / "disks"
        return str((self._folder or final) / self._file_of(machine.name, disk))

    def _file(self, disk: str) -> str:
        return self._file_of(self.name, disk)

    def _file_of(self, name: str, disk: str) -> str:
        """In a folder of others the instance is part of the name."""
        kind = self._disks[disk].purpose
        file = f"{disk}.{self._format(disk)}" if kind is Purpose.DISK else disk
        return f"{folder_name(name)}-{file}" if self._folder else file

    def _format(self, disk: str) -> str:
        found = self._disks[disk]
        if found.purpose is not Purpose.DISK:
            return "raw"
        return found.format if found.format in FORMATS else "qcow2"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()  # what was not committed is discarded


def _decoded(definition: Definition) -> MachineRecord:
    if definition.kind != DEFINITION_KIND:
        raise InvalidInput(
            f"this is a definition of another kind of hypervisor ({definition.kind})",
            hint="Restore the disks to files, or to the hypervisor that it came from.",
        )
    try:
        return decode(definition.content)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"the definition in the restore point makes no sense: {error}",
            hint="Restore the disks to files, and create an instance with them.",
        ) from error
