"""The ``provisioning`` part: mock instances from what restore points hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from hypersdk.datapath.ports import BlockSink
from hypersdk.datapath.raw import RawSink
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.disks import DEFINITION_KIND
from hypersdk.drivers.mock.drafts import Draft
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import folder_name
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.making import new_mac
from hypersdk.drivers.mock.networks import require_networks
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState, Purpose


class MockProvisioning:
    """Disks come into the folder of their instance, as new ones: their next backup reads all."""

    kinds = frozenset({DEFINITION_KIND})

    def __init__(self, root: Root) -> None:
        self._root = root

    def build(
        self, definition: Definition, disks: Sequence[Disk], placement: Placement
    ) -> MockBuilding:
        """See the port. Raises InvalidInput for a folder or pool: disks have one place here."""
        saved = _decoded(definition)
        if placement.folder or placement.pool:
            raise InvalidInput(
                "the mock hypervisor keeps disks with their instance",
                hint="Leave out the folder and the pool.",
            )
        for disk in disks:
            if disk.purpose is not Purpose.DISK:
                raise InvalidInput(
                    f"a mock instance has no use for {disk.purpose.value}",
                    hint="Restore it to the hypervisor that it came from.",
                )
        name = placement.name or saved.name
        self._refuse_existing(name, placement)
        planned = self.adjusted(saved, name, disks, placement)
        self._root.check_size(planned)
        self._check_networks(planned)
        return MockBuilding(self._root, planned, overwrite=placement.overwrite)

    def adjusted(
        self, saved: MockDefinition, name: str, disks: Sequence[Disk], placement: Placement
    ) -> MockDefinition:
        """What it was, as what it is going to be."""
        holder = self._holder(saved.id)
        keeps_id = holder in (None, name)
        new_macs = not keeps_id if placement.new_macs is None else placement.new_macs
        buses = {disk.name: disk.bus for disk in saved.disks}
        return replace(
            saved,
            id=saved.id if keeps_id else str(uuid4()),
            name=name,
            template=False,
            tags={**saved.tags, **placement.tags},
            disks=tuple(
                MockDisk(disk.name, uuid4().hex, disk.size, buses.get(disk.name, "virtio"))
                for disk in disks
            ),
            nics=tuple(
                replace(
                    nic,
                    mac=new_mac() if new_macs else nic.mac,
                    network=placement.networks.get(nic.network, nic.network),
                    bridge=placement.networks.get(nic.bridge, nic.bridge),
                    linked=nic.linked and not placement.isolated,
                )
                for nic in saved.nics
            ),
        )

    def discard(self, name: str, files: Sequence[str]) -> None:
        """See the port."""
        with suppress(InstanceNotFound):
            folder = self._root.find(name)
            with folder.locked():
                folder.set_state(InstanceState.STOPPED, "destroyed")
                self._root.remove(folder, keep_disks=False)
        for file in files:
            with native(f"remove {file}"):
                Path(file).unlink(missing_ok=True)

    def _refuse_existing(self, name: str, placement: Placement) -> None:
        if not (self._root.path / folder_name(name)).exists():
            return
        if not placement.overwrite:
            raise AlreadyExists(
                f"'{name}' exists on mock://{self._root.path}",
                hint="Choose another name with --as, or replace it with --overwrite.",
            )
        check_replaceable(self._root.find(name), name)

    def _check_networks(self, planned: MockDefinition) -> None:
        try:
            require_networks(self._root, planned.nics)
        except NotFound as error:
            raise NotFound(
                error.message, hint=f"Use another with --map-network OLD=NEW. {error.hint}"
            ) from error

    def _holder(self, id: str) -> str | None:
        try:
            found = self._root.find(id).definition()
        except InstanceNotFound:
            return None
        return found.name if found.id == id else None


class MockBuilding:
    """See the port. Nothing is made before the first disk is asked for."""

    def __init__(self, root: Root, definition: MockDefinition, *, overwrite: bool) -> None:
        self._root = root
        self._definition = definition
        self._overwrite = overwrite
        self._draft: Draft | None = None

    @property
    def name(self) -> str:
        return self._definition.name

    def path(self, disk: str) -> str:
        """See the port."""
        folder = self._root.path / folder_name(self.name)
        return str(folder / "disks" / f"{self._definition.disk(disk).id}.raw")

    def sink(self, disk: str) -> BlockSink:
        """See the port."""
        draft = self._begun()
        with native(f"make disk '{disk}' of '{self.name}'"):
            return RawSink.open_existing(draft.folder.disk_path(self._definition.disk(disk)))

    def commit(self) -> Instance:
        """See the port. What had the name disappears in the moment when this appears."""
        draft = self._begun()
        with ExitStack() as held, native(f"define '{self.name}'"):
            old: InstanceFolder | None = None
            if self._overwrite:
                with suppress(NotFound):
                    old = self._root.find(self.name)
                    held.enter_context(old.locked())
                    check_replaceable(old, self.name)
            return self._root.publish(draft, instead_of=old).observe()

    def _begun(self) -> Draft:
        if self._draft is None:
            with native(f"create instance '{self.name}'"):
                self._draft = self._root.draft(self._definition, replacing=self._overwrite)
                self._draft.fill()
        return self._draft

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._draft is not None:
            self._draft.close()


def check_replaceable(folder: InstanceFolder, name: str) -> None:
    """Raises InvalidState while it runs."""
    state = folder.state()
    if state is not InstanceState.STOPPED:
        raise InvalidState(f"'{name}' is {state.value} and cannot be replaced", hint="Stop it.")


def _decoded(definition: Definition) -> MockDefinition:
    if definition.kind != DEFINITION_KIND:
        raise InvalidInput(
            f"this is a definition of another kind of hypervisor ({definition.kind})",
            hint="Restore the disks to files, or to the hypervisor that it came from.",
        )
    try:
        return MockDefinition.decode(definition.content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the definition cannot be understood: {error}") from error
