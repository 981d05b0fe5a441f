"""Mock instances made from mock instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

from hypersdk.drivers.mock.definition import MockDefinition
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.making import new_mac
from hypersdk.drivers.mock.root import Root
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidState, NotSupported
from hypersdk.model.instances import Instance, InstanceState


class MockClones:
    """The ``clones`` part."""

    limits = (Limit("clones.linked", "disks are plain files, which cannot lie over others"),)

    def __init__(self, root: Root) -> None:
        self._root = root

    def clone(self, name: str, new: str, *, linked: bool = False) -> Instance:
        """Without snapshots and checkpoints. Raises LimitExceeded, NotSupported for ``linked``."""
        if linked:
            raise NotSupported(
                f"'{name}' cannot be cloned linked: {self.limits[0].note}",
                hint="Make a full clone.",
            )
        with self._stopped(name, "clone") as folder:
            definition = folder.definition()
            made = self.renewed(definition, new)
            pairs = zip(made.disks, definition.disks, strict=True)
            copies = {copy: folder.disk_path(disk) for copy, disk in pairs}
            return self._root.add(made, copies).observe()

    def renewed(self, definition: MockDefinition, name: str) -> MockDefinition:
        """The same with an identity of its own."""
        return replace(
            definition,
            id=str(uuid4()),
            name=name,
            disks=tuple(replace(disk, id=uuid4().hex) for disk in definition.disks),
            nics=tuple(replace(nic, mac=new_mac()) for nic in definition.nics),
            owned=True,
            template=False,
        )

    def make_template(self, name: str) -> None:
        """Doing it again is no error."""
        with self._stopped(name, "make a template of") as folder:
            folder.set_definition(replace(folder.definition(), template=True))

    def unmake_template(self, name: str) -> None:
        """Of an instance that is no template is no error."""
        with self._stopped(name, "make an instance of") as folder:
            folder.set_definition(replace(folder.definition(), template=False))

    @contextmanager
    def _stopped(self, name: str, verb: str) -> Iterator[InstanceFolder]:
        folder = self._root.find(name)
        with folder.locked(), native(f"{verb} '{name}'"):
            state = folder.state()
            if state is not InstanceState.STOPPED:
                raise InvalidState(f"'{name}' is {state.value}", hint="Stop it first.")
            yield folder
