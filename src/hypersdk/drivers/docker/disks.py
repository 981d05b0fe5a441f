"""Containers as backups see them: an archive of their filesystem and one of each volume.

The engine has no view that stays at its moment. A running container is paused while its archives
are read into private files, and runs on before these are stored; the backup then takes its time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.diskports import Rewriting, ViewOptions
from hypersdk.drivers.docker import translate
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.definition import definition
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.leftovers import DockerLeftovers
from hypersdk.drivers.docker.pausing import paused, refuse_held
from hypersdk.drivers.docker.spool import Spool
from hypersdk.drivers.docker.translate import ROOTFS, archive, archive_name, observed_state
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import DataPathError, HypervisorError, NotFound, NotSupported
from hypersdk.model.instances import Consistency, Definition, Disk, Instance, InstanceState

LIMITS = (
    Limit("disks.changed_blocks", "the engine keeps no record of changes: archives are read whole"),
    Limit("disks.rewrite", "a container is restored by making it anew"),
)


class DockerDisks:
    """The ``disks`` part."""

    limits = LIMITS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def view(
        self,
        name: str,
        since: Mapping[str, str],  # noqa: ARG002 - of the port; there are no tokens
        options: ViewOptions | None = None,
    ) -> DockerBackupView:
        """The scratch folder needs room for all archives. With ``freeze`` off a running container
        is not paused: its archives are of several moments, and the view says so."""
        options = options or ViewOptions()
        DockerLeftovers(self._connection).reap()
        found = self._connection.find(name)
        refuse_held(found)
        places = _places(found, options.exclude)
        running = observed_state(found) is InstanceState.RUNNING
        spools: dict[str, Spool] = {}
        with contextlib.ExitStack() as undo:
            hold = running and options.freeze
            with paused(self._connection, found) if hold else contextlib.nullcontext():
                for disk, path in places.items():
                    spools[disk] = undo.enter_context(Spool())
                    spools[disk].fill(self._archive(found, disk, path))
                if not running or hold:
                    _check_moment(self._connection, found)
            undo.pop_all()
        return DockerBackupView(found, spools, unheld=running and not hold)

    def rewrite(self, name: str) -> Rewriting:
        raise NotSupported(
            f"'{name}' cannot be put back in place: {LIMITS[1].note}",
            hint="Restore it in place of the old one: --to-hypervisor URL --overwrite",
        )

    def _archive(self, found: Json, disk: str, path: str) -> Iterator[bytes]:
        container, doing = f"/containers/{found['Id']}", f"read {disk} of '{found['Name'][1:]}'"
        if disk == ROOTFS:
            return self._connection.stream(f"{container}/export", doing=doing)
        return self._connection.stream(f"{container}/archive", doing=doing, params={"path": path})


def _places(found: Json, exclude: frozenset[str]) -> dict[str, str]:
    """Archive → where in the container it is."""
    places = {ROOTFS: "/"}
    for volume, path in translate.volumes(found["Mounts"]).items():
        places[archive_name(volume)] = path
    name = found["Name"].removeprefix("/")
    if missing := exclude - set(places):
        raise NotFound(
            f"'{name}' has no archive {', '.join(sorted(missing))} to exclude",
            hint=f"There are: {', '.join(places)}.",
        )
    return {disk: path for disk, path in places.items() if disk not in exclude}


def _check_moment(connection: Connection, found: Json) -> None:
    """Raise HypervisorError when it runs, or ran since it was found."""
    name = found["Name"].removeprefix("/")
    with native(f"look at '{name}'"):
        now = connection.client.inspect_container(found["Id"])["State"]
    if now["Status"] == "running" or now["StartedAt"] != found["State"]["StartedAt"]:
        raise HypervisorError(
            f"'{name}' was started or resumed while it was read", hint="Back it up again."
        )


class DockerBackupView:
    """Archives of one container, which wait in private files."""

    def __init__(self, found: Json, spools: Mapping[str, Spool], *, unheld: bool) -> None:
        """``unheld``: it ran while it was read."""
        self._found = found
        self._spools = spools
        self._unheld = unheld
        self._ended = threading.Event()
        self.disks: Sequence[DockerDiskView] = tuple(
            DockerDiskView(archive(name, spool.size), spool, self._ended)
            for name, spool in spools.items()
        )

    @property
    def instance(self) -> Instance:
        return translate.described(self._found)

    @property
    def consistency(self) -> Consistency:
        stopped = observed_state(self._found) is InstanceState.STOPPED
        return Consistency.OFFLINE if stopped else Consistency.CRASH

    @property
    def definition(self) -> Definition:
        return definition(self._found)

    @property
    def warnings(self) -> Sequence[str]:
        said = [
            f"{mount['Destination']} is {mount['Source']} of the host, which is not in the backup"
            for mount in self._found["Mounts"]
            if mount["Type"] == "bind"
        ]
        if self._unheld:
            said.append("it ran while it was read: its archives are of several moments")
        return said

    def confirm(self) -> None:
        """All was read when the view was made."""

    def keep_checkpoints(self) -> None:
        """There are none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for spool in self._spools.values():
            spool.close()


class DockerDiskView:
    """One archive of a view."""

    def __init__(self, disk: Disk, spool: Spool, ended: threading.Event) -> None:
        self.disk = disk
        self._spool = spool
        self._ended = ended

    @property
    def checkpoint(self) -> str | None:
        return None

    @property
    def incremental(self) -> bool:
        return False

    @property
    def reason(self) -> str:
        return LIMITS[0].note

    def open(self, *, full: bool = False) -> BlockSource:  # noqa: ARG002 - it is always full
        if self._ended.is_set():
            raise DataPathError(
                f"the backup view of '{self.disk.name}' has ended",
                hint="Read its archives before leaving the view.",
            )
        return self._spool.source()
