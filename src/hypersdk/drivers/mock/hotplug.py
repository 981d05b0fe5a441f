"""Change the devices of a mock instance, in whatever state it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypersdk.drivers.mock import sparse
from hypersdk.drivers.mock.definition import MockDefinition
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import make_sparse
from hypersdk.drivers.mock.fleece import live
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.drivers.mock.making import check_image, planned_disks, planned_nic
from hypersdk.drivers.mock.networks import require_networks
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import InvalidInput, InvalidState, LimitExceeded, NotFound
from hypersdk.model.instances import Disk
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB


class MockHotplug:
    """The ``hotplug`` part. Guests let go of everything at once."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:
        """``path`` may name a disk in ``ROOT/kept``, which is moved here.

        Raises InvalidInput, NotFound, LimitExceeded.
        """
        with self._changing(name, "attach a disk to") as (folder, definition):
            taken = [other.name for other in definition.disks]
            kept = self._root.path / "kept"
            ((made, content),) = planned_disks([disk], taken, kept, name).items()
            with self._root.changing():
                self._root.check_disk_room(made.size)
                path = folder.disk_path(made)
                try:
                    make_sparse(path, made.size)
                    if content is not None:
                        sparse.copy_file(content, path)
                    disks = (*definition.disks, made)
                    folder.set_definition(replace(definition, disks=disks))
                except BaseException:
                    path.unlink(missing_ok=True)
                    raise
            if content is not None:
                content.unlink(missing_ok=True)
            return Disk(made.name, made.size, path=str(path))

    def detach_disk(self, name: str, disk: str) -> None:
        """Its content moves to ``ROOT/kept``. Raises InvalidState while a backup reads it."""
        with self._changing(name, "detach a disk from") as (folder, definition):
            gone = definition.disk(disk)
            if live(folder.path / "views"):
                raise InvalidState(f"a backup is reading '{name}'", hint="Wait until it ends.")
            self._root.keep_disk(folder, gone)
            left = tuple(other for other in definition.disks if other != gone)
            folder.set_definition(replace(definition, disks=left))
            folder.disk_path(gone).unlink(missing_ok=True)

    def attach_nic(self, name: str, nic: NicSpec) -> str:
        """Raises InvalidInput, NotFound for the network, AlreadyExists for the MAC address."""
        with self._changing(name, "attach a NIC to") as (folder, definition):
            made = planned_nic(nic, definition.nics, name)
            require_networks(self._root, [made], active=folder.state() in ACTIVE)
            folder.set_definition(replace(definition, nics=(*definition.nics, made)))
            return made.mac

    def detach_nic(self, name: str, mac: str) -> None:
        """Raises NotFound."""
        with self._changing(name, "detach a NIC from") as (folder, definition):
            left = tuple(nic for nic in definition.nics if nic.mac != mac.lower())
            if len(left) == len(definition.nics):
                known = ", ".join(nic.mac for nic in definition.nics) or "none"
                raise NotFound(f"'{name}' has no NIC {mac}", hint=f"Its NICs: {known}.")
            folder.set_definition(replace(definition, nics=left))

    def set_vcpus(self, name: str, count: int) -> None:
        """Raises InvalidInput."""
        with self._changing(name, "change the vCPUs of") as (folder, definition):
            if count < 1:
                raise InvalidInput(f"'{name}' cannot have {count} vCPUs", hint="1 is the least.")
            if count > definition.vcpus_room:
                raise LimitExceeded(
                    f"'{name}' has room for {definition.vcpus_room} vCPUs, not for {count}",
                    hint="Create it with a larger vcpus_maximum.",
                )
            run = folder.run()
            if run.since:  # what was used so far was used by as many as there were
                now = self._root.clock.now()
                used = run.processor_time(definition, now)
                folder.set_run(replace(run, since=now, cpu=used), "vcpus changed")
            room = definition.vcpus_room
            folder.set_definition(replace(definition, vcpus=count, vcpus_maximum=room))

    def set_memory(self, name: str, size: int) -> None:
        """Raises InvalidInput; LimitExceeded also when the host has no room for more."""
        with self._changing(name, "change the memory of") as (folder, definition):
            if size < MIB:
                raise InvalidInput(
                    f"'{name}' cannot run with {size} bytes of memory", hint="1 MiB is the least."
                )
            if size > definition.memory_room:
                raise LimitExceeded(
                    f"'{name}' has room for {definition.memory_room} bytes of memory, "
                    f"not for {size}",
                    hint="Create it with a larger memory_maximum.",
                )
            room = definition.memory_room
            with self._root.changing():
                if folder.state() in ACTIVE:
                    self._root.check_memory_room(definition, size)
                folder.set_definition(replace(definition, memory=size, memory_maximum=room))

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:
        """In place of the medium that is in it. Raises InvalidInput, NotFound."""
        with self._changing(name, "insert a medium into") as (folder, definition):
            check_image(image)
            chosen = _drive(definition, drive)
            drives = {**definition.drives, chosen: image}
            folder.set_definition(replace(definition, drives=drives))
            return chosen

    def eject_media(self, name: str, drive: str | None = None) -> None:
        """Ejecting twice is no error. Raises NotFound."""
        with self._changing(name, "eject a medium from") as (folder, definition):
            drives = {**definition.drives, _drive(definition, drive): ""}
            folder.set_definition(replace(definition, drives=drives))

    @contextmanager
    def _changing(self, name: str, verb: str) -> Iterator[tuple[InstanceFolder, MockDefinition]]:
        folder = self._root.find(name)
        with folder.locked(), native(f"{verb} '{name}'"):
            yield folder, folder.definition()


def _drive(definition: MockDefinition, drive: str | None) -> str:
    chosen = drive or next(iter(definition.drives), "")
    if chosen not in definition.drives:
        raise NotFound(
            f"'{definition.name}' has no CD drive{f' {drive!r}' if drive else ''}",
            hint="Create it with a cdrom to give it one.",
        )
    return chosen
