"""The ``provisioning`` part: virtual machines from OVF definitions and disks.

vSphere takes a disk packed and from front to back only, but restores write in any order. So what is
written here by place goes into a private sparse file first (``TMPDIR``; it needs room for the data
of all disks) and goes up in ``commit``. Who has a disk in order anyway writes it packed into
``sink.stream()``, which goes up at once and needs no room here.
"""

from __future__ import annotations

import html
import logging
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.ports import BlockSink
from hypersdk.datapath.raw import RawSink, RawSource
from hypersdk.datapath.streamvmdkwriter import write_stream_vmdk
from hypersdk.datapath.wrapping import WrappedSink
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.exporting import is_nvram, told_digest
from hypersdk.drivers.vsphere.importspec import ImportPlan, plan
from hypersdk.drivers.vsphere.lease import Device, Lease
from hypersdk.drivers.vsphere.machine import Machine
from hypersdk.drivers.vsphere.ovfdefinition import KIND, file_name
from hypersdk.drivers.vsphere.uploads import Upload
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState, Purpose

_log = logging.getLogger(__name__)

#: Seconds to remove a machine with its files.
_REMOVE_SECONDS = 600.0
_NAME = re.compile(rb"<(?:\w+:)?Name>([^<]{1,80})</")
_SYSTEM = re.compile(rb"<(?:\w+:)?VirtualSystem\b[^>]*?\bid=\"([^\"]{1,80})\"")


class VsphereProvisioning:
    """Machines come in by ``ImportVApp``; the definition is one that vSphere or another wrote."""

    kinds = frozenset({KIND})

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self, definition: Definition, disks: Sequence[Disk], placement: Placement
    ) -> VsphereBuilding:
        """See the port. ``placement.pool`` is a datastore, ``placement.folder`` one of the
        inventory. Raises InvalidInput also for what vSphere does not take."""
        if definition.kind != KIND:
            raise InvalidInput(
                f"vSphere builds from OVF, not from {definition.kind}",
                hint="Export it as OVF first (hyperexport --format ovf), and import that.",
            )
        name = placement.name or _name(definition.content)
        self._refuse_existing(name, placement)
        under = f"{name[:60]}.{secrets.token_hex(4)}" if self._exists(name) else name
        planned = plan(self._connection, definition.content, under, disks, placement)
        return VsphereBuilding(self._connection, planned, disks, name)

    def discard(self, name: str, files: Sequence[str]) -> None:  # noqa: ARG002 - they go with it
        """See the port."""
        with suppress(InstanceNotFound, NotFound):
            remove_machine(self._connection, self._connection.vm(name), name)

    def _exists(self, name: str) -> bool:
        try:
            self._connection.vm(name)
        except InstanceNotFound:
            return False
        return True

    def _refuse_existing(self, name: str, placement: Placement) -> None:
        if not self._exists(name):
            return
        if not placement.overwrite:
            raise AlreadyExists(
                f"'{name}' exists at {self._connection.address.place}",
                hint="Choose another name with --as, or replace it with --overwrite.",
            )
        check_stopped(self._connection, self._connection.vm(name), name)


class VsphereBuilding:
    """See the port (`Building`). Nothing is made before the first byte goes up."""

    def __init__(
        self, connection: Connection, planned: ImportPlan, disks: Sequence[Disk], name: str
    ) -> None:
        """``name``: the final one; the plan has another while it replaces a machine."""
        self._connection, self._plan, self._name = connection, planned, name
        self._disks = {disk.name: disk for disk in disks}
        self._folder: Path | None = None
        self._lease: Lease | None = None
        self._beginning = threading.Lock()
        self._digest = "sha1"
        self._uploads: dict[str, Upload] = {}
        self._done = False
        #: What was not taken over, for people.
        self.warnings: list[str] = []
        self._folders = planned.destination.folders(connection)

    @property
    def name(self) -> str:
        return self._name

    def path(self, disk: str) -> str:
        """See the port."""
        store, home = self._plan.destination.datastore.name, self._plan.name
        return f"[{store}] {home}/{file_name(self._disk(disk).name)}"

    def sink(self, disk: str) -> BlockSink:
        """See the port. A `LeaseSink`."""
        file = self._file(self._disk(disk))
        return LeaseSink(RawSink.open_existing(file), self, disk)

    def stream(self, disk: str) -> Upload:
        """Begin to send a disk, packed as streamOptimized VMDK, from front to back."""
        if disk in self._uploads:
            raise InvalidState(f"disk '{disk}' of '{self._name}' is on its way up already")
        device = self._device(disk)
        if device is None:
            raise InvalidInput(f"'{self._name}' has no place for {disk}")
        self._uploads[disk] = self._upload(disk, device)
        return self._uploads[disk]

    def commit(self) -> Instance:
        """See the port. What was not streamed goes up now."""
        lease = self._begun()
        for name, disk in self._disks.items():
            if disk.purpose is Purpose.DISK and name not in self._uploads:
                self._send_disk(disk)
            elif disk.purpose is not Purpose.DISK:
                self._send_file(disk)
        for upload in self._uploads.values():
            upload.finish()
        self._compare(lease)
        lease.complete()
        instance = self._settled(lease.entity)
        self._done = True
        return instance

    def _send_disk(self, disk: Disk) -> None:
        upload = self.stream(disk.name)
        with RawSource(self._file(disk)) as source:
            write_stream_vmdk(source, upload, name=file_name(disk.name))
        upload.finish()
        self._file(disk).unlink()

    def _send_file(self, disk: Disk) -> None:
        """NVRAM, where the definition has a place for it."""
        device = self._device(disk.name)
        if device is None:
            self.warnings.append(
                "vSphere has no place for the UEFI variables: it begins with fresh ones"
            )
            _log.warning("'%s': %s", self._name, self.warnings[-1])
            return
        content = self._file(disk).read_bytes()
        upload = self._upload(disk.name, device, length=len(content))
        self._uploads[disk.name] = upload
        upload.write(content)
        upload.finish()

    def _upload(self, disk: str, device: Device, *, length: int | None = None) -> Upload:
        title = f"disk {disk} of '{self._name}'"
        return Upload(
            self._connection, self._begun(), device, title, digest=self._digest, length=length
        )

    def _begun(self) -> Lease:
        """The lease: disks may be sent side by side, and whoever is first begins it."""
        with self._beginning:
            if self._lease is None:
                self._lease = self._begin()
                self._digest = "sha256" if self._lease.use_digest("sha256") else "sha1"
            return self._lease

    def _begin(self) -> Lease:
        plan, connection = self._plan, self._connection
        folder = self._folders.ensure(plan.destination.folder)
        pool = plan.destination.host.pool(connection)
        host = connection.object(vim.HostSystem, plan.destination.host.id)
        native = connection.call(
            lambda: pool.ImportVApp(plan.spec, folder, host), f"import '{self._name}'", again=False
        )
        return Lease(connection, native, self._name, "import")

    def _device(self, disk: str) -> Device | None:
        """Of the lease; None for NVRAM that the definition does not list."""
        wanted = self._plan.devices.get(disk)
        if wanted is None:
            return self._of_variables(disk)
        for device in self._begun().devices:
            if device.import_key == wanted:
                return device
        raise HypervisorError(
            f"vSphere's lease has no place for {disk} of '{self._name}' ({wanted})",
            hint="Run it again; if it stays so, see the import task in the vSphere Client.",
        )

    def _of_variables(self, disk: str) -> Device | None:
        """A lease may have a place for NVRAM that the plan did not name."""
        if self._disk(disk).purpose is not Purpose.NVRAM:
            return None
        return next((each for each in self._begun().devices if is_nvram(each)), None)

    def _compare(self, lease: Lease) -> None:
        manifest = lease.manifest()
        for disk, upload in self._uploads.items():
            device = self._device(disk)
            entry = manifest.get(device.key) if device else None
            upload.compare(told_digest(entry, self._digest) if entry is not None else "")

    def _settled(self, vm: Any) -> Instance:
        """The finished machine, under its final name."""
        connection = self._connection
        if self._plan.name != self._name:
            self._replace(vm)
        return Machine.observe(connection, vm).instance

    def _replace(self, vm: Any) -> None:
        """Take the place of the machine of this name, which goes when all else is done."""
        connection, name = self._connection, self._name
        try:
            old = connection.vm(name)
        except InstanceNotFound:
            connection.task(lambda: vm.Rename_Task(name), f"give '{name}' its name")
            return
        check_stopped(connection, old, name)
        aside = f"{name[:60]}.{secrets.token_hex(4)}"
        connection.task(lambda: old.Rename_Task(aside), f"move '{name}' aside")
        try:
            connection.task(lambda: vm.Rename_Task(name), f"give '{name}' its name")
        except BaseException:
            with CancelToken().scope():
                connection.task(lambda: old.Rename_Task(name), f"give '{name}' its name back")
            raise
        remove_machine(connection, old, name)

    def _disk(self, name: str) -> Disk:
        if name not in self._disks:
            raise NotFound(f"'{self._name}' has no disk '{name}'")
        return self._disks[name]

    def _file(self, disk: Disk) -> Path:
        """Where it is written by place; made when it is first asked for."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="hypersdk-"))  # mode 0700
        file = self._folder / disk.name.replace("/", "_")
        if not file.exists():
            with RawSink.create(file, disk.size) as made:
                made.commit()
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with CancelToken().scope():
            for upload in self._uploads.values():
                upload.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            if not self._done:
                self._undo()

    def _undo(self) -> None:
        if self._lease is not None:
            self._lease.abort()
            with suppress(NotFound):  # vSphere removes what was half imported by itself
                remove_machine(self._connection, self._lease.entity, self._plan.name)
        self._folders.remove_made()


class LeaseSink(WrappedSink):
    """A disk that is written in any order, or by ``stream`` packed and in order."""

    def __init__(self, inner: BlockSink, building: VsphereBuilding, disk: str) -> None:
        super().__init__(inner)
        self._building, self._disk = building, disk

    def stream(self) -> Upload:
        """Takes a streamOptimized VMDK (`write_stream_vmdk`); it goes up as it comes. Nothing may
        be written by place then."""
        return self._building.stream(self._disk)


def check_stopped(connection: Connection, vm: Any, name: str) -> None:
    """Raises InvalidState while it runs."""
    state = Machine.observe(connection, vm).instance.state
    if state is not InstanceState.STOPPED:
        raise InvalidState(f"'{name}' is {state.value} and cannot be replaced", hint="Stop it.")


def remove_machine(connection: Connection, vm: Any, name: str) -> None:
    """With its disks, running or not. Raises NotFound when it is gone."""
    if str(connection.get(vm, "runtime.powerState")["runtime.powerState"]) != "poweredOff":
        with suppress(InvalidState):
            connection.task(vm.PowerOffVM_Task, f"stop '{name}'")
    connection.task(vm.Destroy_Task, f"remove '{name}'", seconds=_REMOVE_SECONDS)


def _name(descriptor: bytes) -> str:
    """What the descriptor calls its machine."""
    found = _NAME.search(descriptor) or _SYSTEM.search(descriptor)
    if found is None:
        raise InvalidInput("the OVF descriptor has no name", hint="Give one with --as.")
    return html.unescape(found[1].decode("utf-8", "replace")).strip()
