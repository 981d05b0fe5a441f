"""What libvirt does with volumes beyond the port: copy, fill, wipe and shrink them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import libvirt

from hypersdk.datapath.cancel import token_in_force
from hypersdk.datapath.failures import from_os
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.folders import Folders, known_in, volume_in, volume_xml
from hypersdk.drivers.libvirt.storage import LibvirtStorage
from hypersdk.drivers.libvirt.usage import Usage
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound
from hypersdk.model.resources import Volume

#: Algorithm, as virsh calls it → libvirt's number of it.
WIPES = {
    "zero": libvirt.VIR_STORAGE_VOL_WIPE_ALG_ZERO,
    "nnsa": libvirt.VIR_STORAGE_VOL_WIPE_ALG_NNSA,
    "dod": libvirt.VIR_STORAGE_VOL_WIPE_ALG_DOD,
    "bsi": libvirt.VIR_STORAGE_VOL_WIPE_ALG_BSI,
    "gutmann": libvirt.VIR_STORAGE_VOL_WIPE_ALG_GUTMANN,
    "schneier": libvirt.VIR_STORAGE_VOL_WIPE_ALG_SCHNEIER,
    "pfitzner7": libvirt.VIR_STORAGE_VOL_WIPE_ALG_PFITZNER7,
    "pfitzner33": libvirt.VIR_STORAGE_VOL_WIPE_ALG_PFITZNER33,
    "random": libvirt.VIR_STORAGE_VOL_WIPE_ALG_RANDOM,
    "trim": libvirt.VIR_STORAGE_VOL_WIPE_ALG_TRIM,
}
#: Bytes handed to libvirt at once; its messages hold at most 256 KiB of a stream.
_SEND = 1 << 18


class LibvirtVolumes:
    """No part of the port: an attribute of `LibvirtHypervisor`. Safe in threads."""

    def __init__(self, connection: Connection, folders: Folders) -> None:
        self._connection = connection
        self._folders = folders
        self._storage = LibvirtStorage(connection, folders)

    def volume(self, pool: str, name: str) -> Volume:
        """Raises NotFound."""
        for found in self._storage.volumes(pool):
            if found.name == name:
                return found
        raise NotFound(
            f"there is no volume '{name}' in the pool '{pool}'", hint=f"See: virsh vol-list {pool}"
        )

    def preallocate(self, pool: str, name: str, size: int, format: str) -> Volume:
        """A volume with its room taken: all bytes of a raw one, the tables of a qcow2. Raises
        AlreadyExists, LimitExceeded."""
        with self._pool(pool, f"create '{name}' in") as found:
            _refuse_taken(found, name)
            flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA if format == "qcow2" else 0
            xml = volume_xml(name, size, format)
            if format == "raw":  # without its own line, libvirt takes all of it
                xml = xml.replace('<allocation unit="bytes">0</allocation>', "")
            found.createXML(xml, flags)
        return self.volume(pool, name)

    def clone(self, pool: str, source: str, name: str, to: str = "") -> Volume:
        """A copy of all that is in a volume, in the format of it. ``to``: another pool. Raises
        NotFound, AlreadyExists, InvalidState while an instance writes to it."""
        original = self.volume(pool, source)
        with (
            self._pool(pool, f"clone '{source}' of") as inside,
            self._pool(to or pool, "use") as at,
        ):
            _refuse_taken(at, name)
            volume = volume_in(inside, source)
            self._refuse_running(original.path)
            at.createXMLFrom(volume_xml(name, original.capacity, original.format), volume, 0)
        return self.volume(to or pool, name)

    def shrink(self, pool: str, name: str, size: int) -> Volume:
        """Cut off what is behind ``size`` bytes. Raises InvalidState while an instance uses it."""
        with self._pool(pool, f"shrink '{name}' in") as found:
            volume = volume_in(found, name)
            self._refuse_used(volume.path())
            volume.resize(size, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
        return self.volume(pool, name)

    def upload(self, pool: str, name: str, image: Path, size: int, format: str) -> Volume:
        """A volume that is the image file ``image``; ``size``: bytes of the disk in it, which is
        of this format. What was begun is removed after a failure. Raises AlreadyExists,
        Interrupted, DataPathError."""
        length = _length(image)
        with self._pool(pool, f"upload '{name}' to") as found:
            _refuse_taken(found, name)
            volume = found.createXML(volume_xml(name, size, format))
            try:
                self._fill(volume, image, length)
                found.refresh()
            except BaseException:
                with suppress(libvirt.libvirtError):  # the first error is the one to tell
                    volume.delete()
                raise
        return self._checked(self.volume(pool, name), size, format)

    def wipe(self, pool: str, name: str, algorithm: str = "zero") -> None:
        """Overwrite it. Raises InvalidState while an instance uses it, NotSupported."""
        with self._pool(pool, f"wipe '{name}' in") as found:
            volume = volume_in(found, name)
            self._refuse_used(volume.path())
            volume.wipePattern(WIPES[algorithm])

    def _fill(self, volume: libvirt.virStorageVol, image: Path, length: int) -> None:
        stream = self._connection.native.newStream()
        try:
            volume.upload(stream, 0, length)
            with image.open("rb") as file:
                while part := file.read(_SEND):
                    token_in_force().check()
                    view = memoryview(part)
                    while view:
                        view = view[stream.send(bytes(view)) :]
        except OSError as error:
            stream.abort()
            raise from_os(error, image, "read") from error
        except BaseException:
            with suppress(libvirt.libvirtError):
                stream.abort()
            raise
        stream.finish()

    def _checked(self, made: Volume, size: int, format: str) -> Volume:
        """libvirt (9.0) says nothing when its disk fills up: then the image is cut."""
        if (made.capacity, made.format) != (size, format):
            self._storage.delete_volume(made.pool, made.name)
            raise InvalidState(
                f"'{made.name}' came to be {made.format} of {made.capacity} bytes, not {format} "
                f"of {size}; it was removed again",
                hint="Make room in its pool: it is probably full.",
            )
        return made

    def _refuse_used(self, path: str) -> None:
        if users := Usage.of(self._connection, self._folders).of_image(path):
            raise InvalidState(f"{path} is used by {users}", hint="Take it away from there first.")

    def _refuse_running(self, path: str) -> None:
        users = Usage.of(self._connection, self._folders).of_image(path)
        running = self._connection.native.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        if users and any(domain.name() in users for domain in running):
            raise InvalidState(
                f"{path} is written to by {users}", hint="Stop what uses it, and clone it then."
            )

    @contextmanager
    def _pool(self, name: str, verb: str) -> Iterator[libvirt.virStoragePool]:
        with native(f"{verb} the pool '{name}'"):
            yield self._connection.native.storagePoolLookupByName(name)


def _refuse_taken(pool: libvirt.virStoragePool, name: str) -> None:
    if not name.strip() or "/" in name:
        raise InvalidInput(f"{name!r} is no name of a volume", hint="A name without slashes.")
    if known_in(pool, name) is not None:
        raise AlreadyExists(
            f"the pool '{pool.name()}' has a volume '{name}'", hint="Choose another name."
        )


def _length(image: Path) -> int:
    try:
        return image.stat().st_size
    except OSError as error:
        raise from_os(error, image, "read") from error
