"""Storage pools and volumes of libvirt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.errors import Unless, native
from hypersdk.drivers.libvirt.folders import PREFIX, Folders, volume_in, volume_xml
from hypersdk.drivers.libvirt.usage import Usage
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, LimitExceeded
from hypersdk.model.resources import Pool, Volume

#: Pools that give a volume all its bytes at once.
_SOLID = frozenset({"logical", "disk"})
_FORMATS = frozenset({"qcow2", "raw"})
#: Bytes of a volume.
_LARGEST = 1 << 56


class LibvirtStorage:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection, folders: Folders) -> None:
        self._connection = connection
        self._folders = folders

    def pools(self) -> Sequence[Pool]:
        """By name, without those that an operation of ours uses just now (see folders.py)."""
        with native(f"list the pools of {self._connection.uri}"):
            found = [
                _pool(pool)
                for pool in self._connection.native.listAllStoragePools()
                if not pool.name().startswith(PREFIX)
            ]
        return sorted(found, key=lambda pool: pool.name)

    def pool(self, name: str) -> Pool:
        with self._pool(name, "look at") as pool:
            return _pool(pool)

    def create_pool(self, name: str, folder: str) -> Pool:
        """The folder is made if it is not there. Raises AlreadyExists, also for a folder that is
        another pool's."""
        if not name.strip() or "/" in name or not folder.startswith("/"):
            raise InvalidInput(
                f"a pool needs a name and an absolute folder, not {name!r}, {folder!r}",
                hint="name='images', folder='/srv/images'",
            )
        root = element(
            "pool",
            element("name", text=name),
            element("target", element("path", text=folder)),
            type="dir",
        )
        self._refuse_taken(name, folder)
        with native(f"create the pool '{name}'"):
            pool = self._connection.native.storagePoolDefineXML(document(root))
            try:
                pool.build()
                pool.create()
                pool.setAutostart(1)
            except libvirt.libvirtError:
                with suppress(libvirt.libvirtError):  # the first error is the one to tell
                    pool.undefine()
                raise
            return _pool(pool)

    def delete_pool(self, name: str) -> None:
        with self._pool(name, "delete") as pool:
            persistent = pool.isPersistent()
            if pool.isActive():
                pool.destroy()
            if persistent:
                pool.undefine()

    def volumes(self, pool: str) -> Sequence[Volume]:
        """By name. Raises NotFound, InvalidState for a pool that is not started."""
        with self._pool(pool, "list the volumes of") as found:
            if found.isActive():
                with Unless(
                    libvirt.VIR_ERR_INTERNAL_ERROR
                ):  # makes a volume: what it knows must do
                    found.refresh()
            volumes = [_volume(volume, pool) for volume in found.listAllVolumes()]
        return sorted(volumes, key=lambda volume: volume.name)

    def create_volume(self, pool: str, name: str, size: int, format: str = "qcow2") -> Volume:
        if size <= 0 or format not in _FORMATS or not name.strip() or "/" in name:
            raise InvalidInput(
                f"a volume {name!r} of {size} bytes, {format}, cannot be created",
                hint="A name without slashes, a size above 0, qcow2 or raw.",
            )
        if size > _LARGEST:  # a file system in memory would take it
            raise LimitExceeded(
                f"a volume of {size} bytes is larger than any storage",
                hint=f"At most {_LARGEST} bytes.",
            )
        with self._pool(pool, f"create '{name}' in") as found:
            described = _pool(found)
            if described.type in _SOLID:
                format = "raw"
                if size > described.available:
                    raise LimitExceeded(
                        f"the pool '{pool}' has {described.available} bytes left, not {size}",
                        hint="Make room, or choose another pool.",
                    )
            try:
                volume = found.createXML(volume_xml(name, size, format))
            except libvirt.libvirtError as error:
                # A file that the pool does not know: "volume target path … already exists".
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                    raise
                if not found.isActive():
                    raise
                raise AlreadyExists(
                    f"'{name}' exists in the folder of '{pool}'", hint="Choose another name."
                ) from error
            return _volume(volume, pool)

    def resize_volume(self, pool: str, name: str, size: int) -> Volume:
        """A running guest does not notice; libvirt refuses images that it has locked."""
        with self._pool(pool, f"resize '{name}' in") as found:
            volume = volume_in(found, name)
            capacity = volume.info()[1]
            if size < capacity:
                raise InvalidInput(
                    f"'{name}' has {capacity} bytes; {size} would cut off what is behind them",
                    hint="Give at least as many bytes as it has.",
                )
            if size > capacity:
                volume.resize(size)
            return _volume(volume, pool)

    def delete_volume(self, pool: str, name: str) -> None:
        """Raises InvalidState while a domain, or an image that is based on it, needs it."""
        with self._pool(pool, f"delete '{name}' in") as found:
            volume = volume_in(found, name)
            users = Usage.of(self._connection, self._folders).of_image(volume.path())
            if users:
                raise InvalidState(
                    f"'{name}' in '{pool}' is used by {users}", hint="Delete what uses it first."
                )
            volume.delete()

    def _refuse_taken(self, name: str, folder: str) -> None:
        for other in self.pools():
            if other.name == name or (other.type == "dir" and other.path == folder.rstrip("/")):
                raise AlreadyExists(
                    f"the pool '{other.name}' of {other.path} exists",
                    hint="Use that one, or another name and folder.",
                )

    @contextmanager
    def _pool(self, name: str, verb: str) -> Iterator[libvirt.virStoragePool]:
        with native(f"{verb} the pool '{name}'"):
            yield self._connection.native.storagePoolLookupByName(name)


def _pool(pool: libvirt.virStoragePool) -> Pool:
    xml = translate.parsed(pool.XMLDesc())
    _, capacity, _, available = pool.info()
    return Pool(
        name=pool.name(),
        type=xml.get("type", ""),
        active=bool(pool.isActive()),
        capacity=capacity,
        available=available,
        path=xml.findtext("target/path", ""),
    )


def _volume(volume: libvirt.virStorageVol, pool: str) -> Volume:
    xml: Element = translate.parsed(volume.XMLDesc())
    return Volume(
        name=xml.findtext("name", ""),
        pool=pool,
        path=xml.findtext("target/path", ""),
        format=translate.volume_format(xml),
        capacity=translate.size(xml.find("capacity"), "bytes"),
        allocation=translate.size(xml.find("allocation"), "bytes"),
        backing=xml.findtext("backingStore/path", ""),
    )
