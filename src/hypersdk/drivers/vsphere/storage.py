"""Datastores as pools, disk files on them as volumes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pyVmomi import vim

from hypersdk.drivers.vsphere import datastorefiles, finding, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)
from hypersdk.model.resources import Pool, Volume
from hypersdk.model.units import KIB

_POOL = (
    "name",
    "summary.type",
    "summary.accessible",
    "summary.capacity",
    "summary.freeSpace",
    "summary.url",
)
_FORMAT = "vmdk"
#: VMware's largest disk: 62 TiB.
LARGEST = 62 << 40
#: Bytes of a disk's descriptor at most.
_DESCRIPTOR_MAX = 64 * KIB
#: ``RW 20971520 VMFS "web-flat.vmdk"``: sectors of 512 bytes.
_EXTENT = re.compile(rb"^(?:RW|RDONLY) (\d+) ", re.MULTILINE)


class VsphereStorage:
    """The ``storage`` part. Pools of the datacenter that the URL names, or of all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pools(self) -> Sequence[Pool]:
        """By name. ``type`` is vSphere's: VMFS, NFS, vsan …"""
        return sorted((_pool(row) for _, row in self._rows()), key=lambda pool: pool.name)

    def pool(self, name: str) -> Pool:
        return _pool(self._connection.get(self._datastore(name), *_POOL))

    def create_pool(self, name: str, folder: str) -> Pool:
        """``nfs://server/export``: mounted on all hosts. ``/path``: a folder of a host, which ESXi
        itself does not offer, other hosts do. Raises AlreadyExists, InvalidInput, NotSupported."""
        if any(row["name"] == name for _, row in self._rows()):
            raise AlreadyExists(
                f"there is a datastore '{name}' already", hint="Choose another name."
            )
        parts = urlsplit(folder)
        systems = self._datastore_systems()
        if parts.scheme == "nfs" and parts.hostname:
            spec = vim.host.NasVolume.Specification(
                remoteHost=parts.hostname,
                remotePath=parts.path,
                localPath=name,
                accessMode="readWrite",
                type="NFS",
            )
            for system in systems:
                make = partial(system.CreateNasDatastore, spec)
                self._connection.call(make, f"mount {folder} as '{name}'")
        elif folder.startswith("/"):
            make = partial(systems[0].CreateLocalDatastore, name, folder)
            self._connection.call(make, f"make datastore '{name}' of {folder}")
        else:
            raise InvalidInput(
                f"'{folder}' cannot become a datastore", hint="nfs://SERVER/EXPORT, or /FOLDER"
            )
        return self.pool(name)

    def delete_pool(self, name: str) -> None:
        """Unmounts it; files stay. A datastore of whole devices (VMFS, vSAN) would lose them: it
        is refused. Raises NotFound, InvalidState."""
        store = self._datastore(name)
        kind = str(self._connection.get(store, "summary.type")["summary.type"])
        if kind.upper() in ("VMFS", "VSAN"):
            raise InvalidState(
                f"datastore '{name}' is {kind}: deleting it would destroy what is on it",
                hint="Do it in vCenter if you mean it.",
            )
        self._connection.task(store.Destroy_Task, f"delete datastore '{name}'")

    def volumes(self, pool: str) -> Sequence[Volume]:
        """All disks of the datastore by path; searching a large one takes its time."""
        store = self._datastore(pool)
        found = [self._volume(store, pool, *each) for each in self._search(store, pool, "*.vmdk")]
        return sorted(found, key=lambda volume: volume.name)

    def create_volume(self, pool: str, name: str, size: int, format: str = _FORMAT) -> Volume:
        """A thin disk. ``name``: its path on the datastore, ``images/base.vmdk``; the folder must
        be there. Raises InvalidInput for another format than vmdk."""
        store = self._datastore(pool)
        if format != _FORMAT or not name.endswith(f".{_FORMAT}"):
            raise InvalidInput(
                f"vSphere makes no volume '{name}' of format {format}",
                hint="Only vmdk, and the name ends in .vmdk.",
            )
        if not 0 < size <= LARGEST:
            raise LimitExceeded(
                f"a volume of {size} bytes cannot be", hint="From 1 KiB to 62 TiB can."
            )
        spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
            diskType="thin", adapterType="lsiLogic", capacityKb=-(-size // KIB)
        )
        datacenter, _ = finding.datacenter_of(self._connection, store)
        disks = self._connection.content.virtualDiskManager
        self._connection.task(
            lambda: disks.CreateVirtualDisk_Task(f"[{pool}] {name}", datacenter, spec),
            f"create volume '{name}' on '{pool}'",
        )
        return self._named(store, pool, name)

    def resize_volume(self, pool: str, name: str, size: int) -> Volume:
        """Grows it; see the port."""
        store = self._datastore(pool)
        known = self._named(store, pool, name)
        if size < known.capacity:
            raise InvalidInput(
                f"'{name}' has {known.capacity} bytes and cannot shrink to {size}",
                hint="Name a larger size.",
            )
        if size > LARGEST:
            raise LimitExceeded(f"a volume of {size} bytes cannot be", hint="62 TiB can.")
        datacenter, _ = finding.datacenter_of(self._connection, store)
        disks = self._connection.content.virtualDiskManager
        self._connection.task(
            lambda: disks.ExtendVirtualDisk_Task(
                f"[{pool}] {name}", datacenter, -(-size // KIB), False
            ),
            f"grow volume '{name}' on '{pool}'",
        )
        return self._named(store, pool, name)

    def delete_volume(self, pool: str, name: str) -> None:
        """Raises NotFound, InvalidState while a machine has it, running or not."""
        store = self._datastore(pool)
        path = self._named(store, pool, name).path
        if user := self._user(store, path):
            raise InvalidState(f"'{name}' is a disk of '{user}'", hint="Detach it there first.")
        datacenter, _ = finding.datacenter_of(self._connection, store)
        disks = self._connection.content.virtualDiskManager
        self._connection.task(
            lambda: disks.DeleteVirtualDisk_Task(path, datacenter),
            f"delete volume '{name}' on '{pool}'",
        )

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        root = finding.datacenter(self._connection)
        return self._connection.collect(vim.Datastore, _POOL, root)

    def _datastore(self, name: str) -> Any:
        there = []
        for found, row in self._rows():
            if row["name"] == name:
                return self._connection.object(vim.Datastore, found)
            there.append(str(row["name"]))
        raise NotFound(
            f"no datastore '{name}' at {self._connection.address.place}",
            hint=f"There is {', '.join(sorted(there))}." if there else "There is none.",
        )

    def _datastore_systems(self) -> list[Any]:
        root = finding.datacenter(self._connection)
        rows = self._connection.collect(vim.HostSystem, ("configManager.datastoreSystem",), root)
        found = [row["configManager.datastoreSystem"] for _, row in rows]
        systems = [system for system in found if system is not None]
        if not systems:
            raise NotFound("there is no host that could have a datastore", hint="Add a host first.")
        return systems

    def _search(self, store: Any, pool: str, pattern: str) -> Iterator[tuple[str, Any]]:
        """Path and what the datastore's browser knows of it. Files that hold a disk's bytes are
        not disks."""
        browser = self._connection.get(store, "browser")["browser"]
        query = vim.host.DatastoreBrowser.VmDiskQuery(
            details=vim.host.DatastoreBrowser.VmDiskQuery.Details(
                diskType=True, capacityKb=True, hardwareVersion=False, thin=True
            )
        )
        spec = vim.host.DatastoreBrowser.SearchSpec(
            query=[query],
            matchPattern=[pattern],
            details=vim.host.DatastoreBrowser.FileInfo.Details(
                fileType=True, fileSize=True, modification=False, fileOwner=False
            ),
        )
        folders = self._connection.task(
            lambda: browser.SearchDatastoreSubFolders_Task(f"[{pool}]", spec),
            f"search datastore '{pool}'",
        )
        for folder in folders or ():
            for file in folder.file or ():
                _, above = datastorefiles.split(folder.folderPath)
                yield f"{above.rstrip('/')}/{file.path}".lstrip("/"), file

    def _named(self, store: Any, pool: str, name: str) -> Volume:
        for path, file in self._search(store, pool, name.rpartition("/")[2]):
            if path == name:
                return self._volume(store, pool, path, file)
        raise NotFound(f"no volume '{name}' on '{pool}'", hint="See volumes() of the pool.")

    def _volume(self, store: Any, pool: str, path: str, file: Any) -> Volume:
        kilobytes = getattr(file, "capacityKb", None)
        full = f"[{pool}] {path}"
        return Volume(
            name=path,
            pool=pool,
            path=full,
            format=_FORMAT,
            capacity=int(kilobytes) * KIB if kilobytes else self._capacity(store, full),
            allocation=int(file.fileSize or 0),
        )

    def _capacity(self, store: Any, path: str) -> int:
        """From the disk's descriptor, where the browser does not say."""
        text = datastorefiles.read(self._connection, store, path, _DESCRIPTOR_MAX)
        return sum(int(sectors) for sectors in _EXTENT.findall(text)) * 512

    def _user(self, store: Any, path: str) -> str:
        """Name of a machine that has this file; empty: none."""
        machines = self._connection.get(store, "vm")["vm"] or ()
        rows = self._connection.many(machines, "name", "config.hardware.device")
        for row in rows.values():
            for device in row["config.hardware.device"] or ():
                if path in _files(getattr(device, "backing", None)):
                    return translate.plain(str(row["name"]))
        return ""


def _files(backing: Any) -> Iterator[str]:
    """Of a disk with all that it is based on."""
    while backing is not None:
        yield str(getattr(backing, "fileName", "") or "")
        backing = getattr(backing, "parent", None)


def _pool(row: dict[str, Any]) -> Pool:
    return Pool(
        name=str(row["name"]),
        type=str(row["summary.type"] or ""),
        active=bool(row["summary.accessible"]),
        capacity=int(row["summary.capacity"] or 0),
        available=int(row["summary.freeSpace"] or 0),
        path=str(row["summary.url"] or ""),
    )
