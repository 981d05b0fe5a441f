"""Bring containers into being from what restore points hold: an image of the filesystem, volumes,
and a container with the configuration that it had.

Everything is written into private files first; the engine is told at `commit`.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from docker.errors import NotFound as DockerNotFound

from hypersdk.datapath.ports import BlockSink
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.docker import marks, remake, volumes
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.definition import KIND, saved
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.images import import_filesystem, send_archive
from hypersdk.drivers.docker.lifecycle import kill, remove, remove_container
from hypersdk.drivers.docker.spool import Spool
from hypersdk.drivers.docker.translate import (
    ROOTFS,
    archive_name,
    described,
    identity,
    observed_state,
)
from hypersdk.drivers.docker.translate import volumes as volumes_of
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState, Purpose

#: Where a container that is there for nothing else has the volumes that are filled.
_FILLING = "/.hypersdk-restore"
_NETWORK_MODES = ("none", "host", "default", "bridge", "")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is going to be made."""

    name: str
    found: Json
    identity: str
    #: Archive → name of its volume here.
    volumes: Mapping[str, str]
    #: Name of a volume then → here.
    renamed: Mapping[str, str]
    placement: Placement
    #: The container that is to be replaced.
    replaced: Json | None
    keep_macs: bool


class DockerProvisioning:
    """The ``provisioning`` part."""

    kinds = frozenset({KIND})

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self, definition: Definition, disks: Sequence[Disk], placement: Placement
    ) -> DockerBuilding:
        """See the port. Under another name than it had, its volumes get other names as well:
        ``web-data`` of ``web`` becomes ``db-data`` of ``db``, ``data`` becomes ``db-data``."""
        found = saved(definition)
        _check_disks(disks, placement)
        name = placement.name or found["Name"].removeprefix("/")
        replaced = self._replaced(name, placement)
        own = identity(found)
        holder = self._holder(own)
        free = holder is None or (replaced is not None and holder == replaced["Id"])
        renamed = _renamed(found, name)
        plan = _Plan(
            name=name,
            found=found,
            identity=own if free else str(uuid.uuid4()),
            volumes={
                archive_name(old): new
                for old, new in renamed.items()
                if any(disk.name == archive_name(old) for disk in disks)
            },
            renamed=renamed,
            placement=placement,
            replaced=replaced,
            keep_macs=not placement.new_macs if placement.new_macs is not None else free,
        )
        self._check_volumes(plan)
        if not placement.isolated:
            self._check_networks(plan)
        return DockerBuilding(self._connection, plan, disks)

    def discard(self, name: str, files: Sequence[str]) -> None:
        """``files``: paths that `DockerBuilding.path` gave; volumes among them are removed."""
        with contextlib.suppress(InstanceNotFound):
            found = self._connection.find(name)
            kill(self._connection, found)
            with native(f"remove '{name}'"):
                remove(self._connection, found, disks=False)
        with native(f"remove the volumes of '{name}'"):
            volumes.remove(
                self._connection,
                [file.removeprefix("volume:") for file in files if file.startswith("volume:")],
            )

    def _replaced(self, name: str, placement: Placement) -> Json | None:
        try:
            found = self._connection.find(name)
        except InstanceNotFound:
            return None
        if not placement.overwrite:
            raise AlreadyExists(
                f"'{name}' exists on {self._connection.url}",
                hint="Choose another name with --as, or replace it with --overwrite.",
            )
        if observed_state(found) is not InstanceState.STOPPED:
            raise InvalidState(f"'{name}' runs and cannot be replaced", hint="Stop it first.")
        return found

    def _holder(self, own: str) -> str | None:
        """Docker's id of the container that has this identity."""
        try:
            return str(self._connection.find(own)["Id"])
        except InstanceNotFound:
            return None

    def _check_volumes(self, plan: _Plan) -> None:
        for old, new in plan.renamed.items():
            restored = archive_name(old) in plan.volumes
            with native(f"look at volume '{new}'"):
                try:
                    self._connection.client.inspect_volume(new)
                except DockerNotFound:
                    if not restored:
                        raise NotFound(
                            f"volume '{new}' is neither in the restore point nor here",
                            hint=f"Make one: docker volume create {new}",
                        ) from None
                    continue
                users = self._connection.client.containers(all=True, filters={"volume": new})
            if not restored:
                continue
            if not plan.placement.overwrite:
                raise AlreadyExists(
                    f"volume '{new}' exists on {self._connection.url}",
                    hint="Restore under another name with --as, or replace it with --overwrite.",
                )
            others = {row["Id"] for row in users} - {(plan.replaced or {}).get("Id")}
            if others:
                raise InvalidState(f"volume '{new}' is used by another container")

    def _check_networks(self, plan: _Plan) -> None:
        with native("list the networks"):
            known = {row["Name"] for row in self._connection.client.networks()}
        for network in remake.endpoints(plan.found, plan.placement.networks):
            if network not in known:
                raise NotFound(
                    f"there is no network '{network}' on {self._connection.url}",
                    hint=f"Use another with --map-network {network}=OTHER. "
                    f"There is: {', '.join(sorted(known))}.",
                )


class DockerBuilding:
    """A container that is being built."""

    def __init__(self, connection: Connection, plan: _Plan, disks: Sequence[Disk]) -> None:
        self._connection = connection
        self._plan = plan
        self._spools = contextlib.ExitStack()
        self._files: dict[str, Spool] = {}
        self._sizes = {disk.name: disk.size for disk in disks}

    @property
    def name(self) -> str:
        return self._plan.name

    def path(self, disk: str) -> str:
        """``volume:NAME`` for a volume; the name of the image for the filesystem."""
        volume = self._plan.volumes.get(disk)
        return f"volume:{volume}" if volume else f"image:{self._repository}"

    def sink(self, disk: str) -> BlockSink:
        if disk not in self._files:
            self._files[disk] = self._spools.enter_context(Spool(self._sizes[disk]))
        return self._files[disk].sink()

    def commit(self) -> Instance:
        """Not at once where something is replaced: the old container and its volumes go when the
        image of the new one is there, and before the volumes are filled."""
        plan, client = self._plan, self._connection.client
        tag = f"{self._repository}:{os.urandom(4).hex()}"
        with native(f"restore '{plan.name}'"), contextlib.ExitStack() as undo:
            with self._files[ROOTFS].stream() as archive:
                undo.callback(volumes.remove_images, self._connection, [tag])
                import_filesystem(self._connection, archive, tag)
            self._make_room(tag)
            made: list[str] = []
            undo.callback(volumes.remove, self._connection, made)
            volumes.make_missing(self._connection, plan.volumes.values(), plan.identity, made)
            self._fill(tag)
            container = self._connection.make(self._config(tag), plan.name)
            undo.callback(remove_container, self._connection, container)
            if not plan.placement.isolated:
                remake.connect(self._connection, container, plan.found, plan.placement.networks)
            instance = described(client.inspect_container(container))
            undo.pop_all()
        return instance

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spools.close()

    @property
    def _repository(self) -> str:
        return f"{volumes.BASES}/{self._plan.identity}"

    def _make_room(self, image: str) -> None:
        if self._plan.replaced is not None:
            remove(self._connection, self._plan.replaced, disks=False, keep=[image])
        if self._plan.placement.overwrite:
            volumes.remove(self._connection, self._plan.volumes.values())

    def _fill(self, image: str) -> None:
        """Through a container that never runs, so that nothing is in the way: mounts that are read
        only, or lie in each other."""
        if not self._plan.volumes:
            return
        # Their archives begin with the folder that they were mounted at.
        folders = {
            archive_name(volume): PurePosixPath(place).name
            for volume, place in volumes_of(self._plan.found["Mounts"]).items()
        }
        places = {disk: f"{_FILLING}/{number}" for number, disk in enumerate(self._plan.volumes)}
        config: Json = {
            "Image": image,
            "Cmd": ["never started"],
            "Labels": {marks.DRAFT: self._plan.name},
            "HostConfig": {
                "NetworkMode": "none",
                "Mounts": [
                    {
                        "Type": "volume",
                        "Source": self._plan.volumes[disk],
                        "Target": f"{place}/{folders[disk]}",
                    }
                    for disk, place in places.items()
                ],
            },
        }
        name = f"{self._plan.name}-filling-{os.urandom(4).hex()}"
        filler = self._connection.make(config, name)
        try:
            for disk, place in places.items():
                with self._files[disk].stream() as archive:
                    send_archive(self._connection, filler, place, archive)
        finally:
            remove_container(self._connection, filler)

    def _config(self, image: str) -> Json:
        plan = self._plan
        labels = {
            **remake.labels_of(plan.found),
            **marks.adopted(plan.found["Config"]["Labels"] or {}),
            **marks.tag_labels(plan.placement.tags),
            marks.IDENTITY: plan.identity,
            marks.BASE: image,
            marks.LINEAGE: "",
        }
        config = remake.configuration(plan.found, image, labels, volumes=plan.renamed)
        if not plan.keep_macs:
            config.pop("MacAddress", None)
        host = config["HostConfig"]
        if plan.placement.isolated:
            host["NetworkMode"], host["PortBindings"] = "none", {}
            config.pop("MacAddress", None)
        elif host["NetworkMode"] not in _NETWORK_MODES:
            host["NetworkMode"] = plan.placement.networks.get(
                host["NetworkMode"], host["NetworkMode"]
            )
        return config


def _check_disks(disks: Sequence[Disk], placement: Placement) -> None:
    names = {disk.name for disk in disks}
    if ROOTFS not in names or any(disk.purpose is not Purpose.ARCHIVE for disk in disks):
        raise InvalidInput(
            "the restore point does not hold the filesystem of a container",
            hint="It was excluded, or this is no backup of a container. Restore it to files.",
        )
    if placement.pool or placement.folder:
        raise InvalidInput(
            "a container is restored to where the engine keeps its data",
            hint="Leave out the pool and the folder.",
        )


def _renamed(found: Json, name: str) -> dict[str, str]:
    """Volume → what it is called in an instance of this name."""
    old = found["Name"].removeprefix("/")
    names = list(volumes_of(found["Mounts"]))
    if name == old:
        return {each: each for each in names}
    return {each: f"{name}-{each.removeprefix(f'{old}-')}" for each in names}
