"""Folders of the hypervisor's host, reached through libvirt: there and here are the same to it.

libvirt makes, copies and deletes files only within storage pools. For a folder that is none, a
transient pool is put over it as long as it is needed; libvirt forgets it with its process at the
latest. Starting one makes libvirt look at each file in the folder once.

Two pools over one folder are impossible, so the pool of another connection or process is used when
there is one. A file per folder, which all who use it have locked, tells the last one to take the
pool away. It is a lock of this host: with a libvirtd elsewhere, a process that ends its work first
may take the pool away from another, whose work there fails then and is undone; nothing is lost.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import libvirt

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.errors import Unless, native
from hypersdk.drivers.libvirt.locks import SharedLock
from hypersdk.model.errors import InvalidState, NotFound

#: Transient pools of ours, and of other processes like this one, are called this and a UUID.
PREFIX = "hypersdk-"
#: How long to wait for volumes that others make in a pool: a large one that is copied takes long.
_BUSY_SECONDS = 600.0


class Folders:
    """The folders that are in use just now. May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        #: Folder → its users here, and the lock that is theirs.
        self._used: dict[str, _Use] = {}

    @contextlib.contextmanager
    def pool(self, folder: str) -> Iterator[libvirt.virStoragePool]:
        """A running pool over ``folder``. Raises NotFound, InvalidState, HypervisorError."""
        folder = str(PurePosixPath(folder))
        with self._lock, native(f"use the folder {folder}"):
            use = self._used.get(folder) or _Use(SharedLock.of(self._connection.uri, folder))
            try:
                pool = self._found(folder) or self._put_over(folder)
            except BaseException:
                if not use.users:
                    use.lock.close(last=use.lock.is_last())
                raise
            use.users += 1
            self._used[folder] = use
        try:
            yield pool
        finally:
            self._leave(folder, pool)

    @contextlib.contextmanager
    def volume(self, path: str) -> Iterator[libvirt.virStorageVol]:
        """A file or device by its path, also one that came while its pool ran. Raises NotFound."""
        if (known := self._lasting(path)) is not None:
            yield known
            return
        if path.startswith("/dev/"):  # a pool over all devices of the host would be absurd
            raise NotFound(
                f"{path} belongs to no storage pool of {self._connection.uri}",
                hint="Make a pool that it is in: virsh pool-define-as",
            )
        with self.pool(str(PurePosixPath(path).parent)) as pool:
            yield volume_in(pool, PurePosixPath(path).name)

    def check_file(self, path: str) -> None:
        """Raises NotFound when libvirt's host has no such file."""
        if not urlsplit(self._connection.uri).hostname and Path(path).exists():
            return
        with self.volume(path):
            pass

    def _lasting(self, path: str) -> libvirt.virStorageVol | None:
        """A volume of a pool that will not go away while it is used: no transient one of ours."""
        with contextlib.suppress(NotFound), native(f"find {path}"):
            volume = self._connection.native.storageVolLookupByPath(path)
            if not volume.storagePoolLookupByVolume().name().startswith(PREFIX):
                return volume
        return None

    def _found(self, folder: str) -> libvirt.virStoragePool | None:
        for pool in self._connection.native.listAllStoragePools():
            with Unless(libvirt.VIR_ERR_NO_STORAGE_POOL):
                xml = translate.parsed(pool.XMLDesc())
                if xml.get("type") == "dir" and xml.findtext("target/path") == folder:
                    if not pool.isActive():
                        raise InvalidState(
                            f"the pool '{pool.name()}' of {folder} is not started",
                            hint=f"Start it: virsh pool-start '{pool.name()}'",
                        )
                    return pool
        return None

    def _put_over(self, folder: str) -> libvirt.virStoragePool:
        root = element(
            "pool",
            element("name", text=f"{PREFIX}{uuid.uuid4()}"),
            element("target", element("path", text=folder)),
            type="dir",
        )
        try:
            return self._connection.native.storagePoolCreateXML(document(root))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR:
                raise NotFound(
                    f"there is no folder {folder} on {self._connection.uri}",
                    hint="Make it on the host, or name another.",
                ) from error
            # "Storage source conflict": another one did it just now.
            found = self._found(folder)
            if found is None:
                raise
            return found

    def _leave(self, folder: str, pool: libvirt.virStoragePool) -> None:
        with self._lock:
            use = self._used[folder]
            use.users -= 1
            if use.users:
                return
            del self._used[folder]
            # Ours, that of a process beside us, or one that a killed process left behind.
            last = use.lock.is_last()
            if last and pool.name().startswith(PREFIX):
                with contextlib.suppress(libvirt.libvirtError):  # it costs nothing if it stays
                    pool.destroy()
            use.lock.close(last=last)


@dataclass(slots=True)
class _Use:
    """Of one folder by this connection."""

    lock: SharedLock
    users: int = 0


def volume_in(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol:
    """A volume by name, also one that came to the folder while its pool ran. Raises NotFound."""
    with native(f"find '{name}' in the pool '{pool.name()}'"):
        known = known_in(pool, name)
        if known is not None:
            return known
        _refresh(pool)
        return pool.storageVolLookupByName(name)


def known_in(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """A volume that libvirt knows of. Raises libvirtError."""
    with Unless(libvirt.VIR_ERR_NO_STORAGE_VOL):
        return pool.storageVolLookupByName(name)
    return None


def _refresh(pool: libvirt.virStoragePool) -> None:
    """libvirt does not look into a folder ("internal error") while it makes a volume there."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            pool.refresh()
        except libvirt.libvirtError as error:
            busy = error.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR
            if not busy or time.monotonic() > deadline:
                raise
            token_in_force().wait(WAIT_SLICE)
        else:
            return


def volume_xml(name: str, size: int, format: str, backing: tuple[str, str] | None = None) -> str:
    """``backing``: path and format of the image below. qcow2 in its version 3: without asking,
    libvirt makes version 2, which keeps no bitmaps and so no record of changes."""
    target = element("target", element("format", type=format))
    if format == "qcow2":
        target.append(element("compat", text="1.1"))
    root = element(
        "volume",
        element("name", text=name),
        element("capacity", unit="bytes", text=str(size)),
        target,
    )
    if format == "raw":
        root.append(element("allocation", unit="bytes", text="0"))
    if backing is not None:
        path, kind = backing
        root.append(
            element("backingStore", element("path", text=path), element("format", type=kind))
        )
    return document(root)
