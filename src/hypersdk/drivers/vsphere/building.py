"""Make a machine from a spec: choose its places, add its devices, undo what comes to nothing."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere import placement
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.devices import Additions, thin
from hypersdk.drivers.vsphere.folders import Folders, datastore_file, file_size
from hypersdk.drivers.vsphere.power import Making
from hypersdk.drivers.vsphere.specs import config_spec
from hypersdk.model.errors import NotFound
from hypersdk.model.specs import DiskSpec, InstanceSpec


class Builder:
    """Makes one machine."""

    def __init__(self, connection: Connection, spec: InstanceSpec) -> None:
        self._connection = connection
        self._spec = spec
        self._datacenter = placement.datacenter(connection)

    def build(self) -> Any:
        """The machine, stopped. Raises AlreadyExists, InvalidInput, NotFound, LimitExceeded."""
        spec, connection = self._spec, self._connection
        known = placement.datastores(connection, self._datacenter)
        hosts = placement.hosts(connection, self._datacenter)
        reached = frozenset().union(*(host.datastores for host in hosts))
        home = self._home(known, reached)
        additions = Additions()
        used = {home.id} | {
            self._add_disk(additions, disk, known, home) for disk in self._ordered()
        }
        self._add_others(additions)
        host = placement.choose_host(hosts, used)
        config = config_spec(spec, additions, home.name, host.mhz)
        folders = Folders(connection, connection.get(self._datacenter, "vmFolder")["vmFolder"])
        try:
            folder = folders.ensure(spec.folder)
            return Making(connection).run(
                lambda: folder.CreateVM_Task(
                    config=config,
                    pool=host.pool(connection),
                    host=connection.object(vim.HostSystem, host.id),
                ),
                f"create '{spec.name}'",
            )
        except BaseException:
            with CancelToken().scope():
                folders.remove_made()
            raise

    def _ordered(self) -> list[DiskSpec]:
        """Those that name their place come first, so that no other takes it."""
        return sorted(self._spec.disks, key=lambda disk: not disk.name)

    def _home(
        self, known: list[placement.Datastore], reached: frozenset[str]
    ) -> placement.Datastore:
        """Where its files lie: with its first disk."""
        first = next(iter(self._spec.disks), DiskSpec())
        name = datastore_file(first.path)[0] if first.path else first.pool
        return placement.choose_datastore(known, name, reached)

    def _add_disk(
        self,
        additions: Additions,
        disk: DiskSpec,
        known: list[placement.Datastore],
        home: placement.Datastore,
    ) -> str:
        """Id of its datastore."""
        name = datastore_file(disk.path)[0] if disk.path else disk.pool
        place = placement.choose_datastore(known, name or home.name, ())
        add_disk(self._connection, self._datacenter, additions, disk, f"[{place.name}]")
        return place.id

    def _add_others(self, additions: Additions) -> None:
        spec = self._spec
        for nic in spec.nics:
            backing = placement.nic_backing(self._connection, self._datacenter, nic)
            additions.nic(nic.model, backing, nic.mac)
        if spec.cdrom:
            require_file(self._connection, self._datacenter, spec.cdrom)
            additions.drive(spec.cdrom)


def add_disk(
    connection: Connection, root: Any, additions: Additions, disk: DiskSpec, beside: str
) -> str:
    """Add a disk whose file is there, or is made: at its path, or ``beside`` the machine's files.
    Its name.

    Raises InvalidInput, NotFound, AlreadyExists, LimitExceeded.
    """
    there = file_size(connection, root, disk.path) if disk.path else None
    if there is None and not disk.size:
        raise NotFound(f"there is no disk {disk.path}", hint="Give its size to have it made there.")
    place = additions.disk(
        disk.name, disk.bus, thin(disk.path or beside), disk.size, create=there is None
    )
    return place.name


def require_file(connection: Connection, root: Any, path: str) -> None:
    """Raises NotFound, InvalidInput."""
    if file_size(connection, root, path) is None:
        raise NotFound(f"there is no file {path}", hint="Upload it to the datastore first.")
