"""Disk images of domains: made for a `DiskSpec`, and taken back when something goes wrong."""

from __future__ import annotations

import contextlib
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.definition import PlacedDisk
from hypersdk.drivers.libvirt.errors import complaint, native
from hypersdk.drivers.libvirt.folders import Folders, known_in, volume_in, volume_xml
from hypersdk.model.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound
from hypersdk.model.specs import DiskSpec

#: Where disks go for which nobody named a place; libvirt's own convention.
DEFAULT_POOL = "default"


def downloaded(connection: Connection, volume: libvirt.virStorageVol) -> bytes:
    """All of a small volume. Raises libvirtError."""
    content = bytearray()
    stream = connection.native.newStream()
    volume.download(stream, 0, 0)
    while part := stream.recv(1 << 18):
        content += part
    stream.finish()
    return bytes(content)


class Images:
    """Files made in one operation. Leaving the context after an error removes them again. ::

    with Images(connection, folders) as images:
        disk = images.place(spec, "web", "vda")
        connection.native.defineXML(…)
    """

    def __init__(self, connection: Connection, folders: Folders) -> None:
        self._connection = connection
        self._folders = folders
        #: Pools stay until the end: removing what was made needs them.
        self._pools = contextlib.ExitStack()
        self._made: list[libvirt.virStorageVol] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._pools:
            if error is None:
                return
            for volume in reversed(self._made):
                try:
                    volume.delete()
                except libvirt.libvirtError as failure:
                    error.add_note(f"{volume.path()} was left behind: {failure}")

    def place(self, spec: DiskSpec, instance: str, target: str) -> PlacedDisk:
        """The disk that ``spec`` describes, made unless it is there.

        Raises InvalidInput, NotFound, AlreadyExists (a file in a pool that nobody asked for).
        """
        if spec.path.startswith("/dev/"):
            return PlacedDisk(target, spec.bus, spec.format, spec.path, device=True)
        name = PurePosixPath(spec.path).name or f"{instance}-{target}.{spec.format}"
        pool = self._pool_of(spec)
        if spec.path and (found := self._found(pool, spec, name)) is not None:
            return self._existing(spec, target, found)
        try:
            volume = self._create(pool, spec, name, target)
        except AlreadyExists:
            if not spec.path:
                raise
            return self._existing(spec, target, volume_in(pool, name))
        with native(f"look at {name}"):
            kind, path = volume.info()[0], volume.path()
        if kind not in {libvirt.VIR_STORAGE_VOL_FILE, libvirt.VIR_STORAGE_VOL_BLOCK}:
            raise InvalidInput(
                f"the pool '{spec.pool}' holds neither files nor block devices",
                hint="Choose a pool of type dir, netfs, fs or logical.",
            )
        device = kind == libvirt.VIR_STORAGE_VOL_BLOCK
        return PlacedDisk(target, spec.bus, "raw" if device else spec.format, path, device)

    def upload(self, folder: str, name: str, content: bytes) -> str:
        """A small file; its path. Raises AlreadyExists."""
        pool = self._folder(folder)
        volume = self._made_in(pool, volume_xml(name, len(content), "raw"), name)
        stream = self._connection.native.newStream()
        with native(f"upload {name}"):
            volume.upload(stream, 0, len(content))
            view = memoryview(content)
            while view:
                view = view[stream.send(bytes(view[: 1 << 18])) :]
            stream.finish()
            # libvirt (9.0) says nothing when its disk is full: it leaves a hole.
            if downloaded(self._connection, volume) != content:
                raise LimitExceeded(
                    f"'{name}' could not be written whole to the folder {folder}",
                    hint="Make room there: it is probably full.",
                )
            return str(volume.path())

    def copy(self, source: libvirt.virStorageVol, folder: str, name: str, format: str) -> str:
        """A copy of all that the guest sees, without backing image, bitmaps and snapshots."""
        pool = self._folder(folder)
        with native(f"copy {source.path()}"):
            size = source.info()[1]
        return self._path(self._made_in(pool, volume_xml(name, size, format), name, source))

    def copy_device(self, source: libvirt.virStorageVol, name: str) -> str:
        """A copy of a block device as a new one of its pool."""
        with native(f"copy {source.path()}"):
            pool = source.storagePoolLookupByVolume()
            size = source.info()[1]
        return self._path(self._made_in(pool, volume_xml(name, size, "raw"), name, source))

    def overlay(self, folder: str, name: str, size: int, base: tuple[str, str]) -> str:
        """An image that holds only what differs from ``base`` (path, format)."""
        pool = self._folder(folder)
        return self._path(self._made_in(pool, volume_xml(name, size, "qcow2", base), name))

    def folder_of(self, pool: str) -> str:
        """Folder of a pool. Raises NotFound, InvalidInput when it is not one of files."""
        with native(f"use the pool '{pool}'"):
            xml = translate.parsed(self._connection.native.storagePoolLookupByName(pool).XMLDesc())
        path = xml.findtext("target/path", "")
        if not path or path.startswith("/dev"):
            raise InvalidInput(
                f"the pool '{pool}' has no folder for files",
                hint="Choose a pool of type dir, fs or netfs.",
            )
        return path

    def _pool_of(self, spec: DiskSpec) -> libvirt.virStoragePool:
        if spec.path:
            return self._folder(str(PurePosixPath(spec.path).parent))
        name = spec.pool or DEFAULT_POOL
        with native(f"use the pool '{name}'"):
            try:
                return self._connection.native.storagePoolLookupByName(name)
            except libvirt.libvirtError as error:
                if spec.pool or error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                    raise
                raise InvalidInput(
                    f"a disk has neither path nor pool, and there is no pool '{DEFAULT_POOL}'",
                    hint="Name a path or a pool for it, or create the pool.",
                ) from error

    def _folder(self, folder: str) -> libvirt.virStoragePool:
        return self._pools.enter_context(self._folders.pool(folder))

    def _found(
        self, pool: libvirt.virStoragePool, spec: DiskSpec, name: str
    ) -> libvirt.virStorageVol | None:
        """What is at the path already. One that libvirt does not know yet shows when it refuses
        to make it, which is much quicker than to have it look through the folder first."""
        if spec.size or spec.base:
            with native(f"look for {spec.path}"):
                return known_in(pool, name)
        with contextlib.suppress(NotFound):
            return volume_in(pool, name)
        return None

    def _existing(self, spec: DiskSpec, target: str, volume: libvirt.virStorageVol) -> PlacedDisk:
        with native(f"look at {spec.path}"):
            xml = translate.parsed(volume.XMLDesc())
        found = translate.volume_format(xml)
        if spec.base:
            raise AlreadyExists(
                f"{spec.path} exists and would have to be made over {spec.base}",
                hint="Leave base out to use the disk as it is, or choose another path.",
            )
        if spec.format not in {found, "raw"}:
            raise InvalidInput(
                f"{spec.path} is {found}, not {spec.format}", hint=f"format='{found}'"
            )
        return PlacedDisk(target, spec.bus, spec.format, spec.path)

    def _create(
        self, pool: libvirt.virStoragePool, spec: DiskSpec, name: str, target: str
    ) -> libvirt.virStorageVol:
        size, backing = spec.size, None
        if spec.base:
            with self._folders.volume(spec.base) as base, native(f"look at {spec.base}"):
                backing = (spec.base, translate.volume_format(translate.parsed(base.XMLDesc())))
                smallest = base.info()[1]
            if size and size < smallest:
                raise InvalidInput(
                    f"disk '{target}' is smaller than its base {spec.base}",
                    hint="Leave size out: it is as large as its base.",
                )
            size = size or smallest
        if not size:
            raise InvalidInput(f"disk '{target}' does not exist and has no size", hint="size=…")
        return self._made_in(pool, volume_xml(name, size, spec.format, backing), name)

    def _made_in(
        self,
        pool: libvirt.virStoragePool,
        xml: str,
        name: str,
        source: libvirt.virStorageVol | None = None,
    ) -> libvirt.virStorageVol:
        """libvirt itself looks whether a file of the name is there, so nothing is replaced."""
        with native(f"make '{name}' in the pool '{pool.name()}'"):
            if known_in(pool, name) is not None:
                raise AlreadyExists(
                    f"'{name}' exists in the pool '{pool.name()}'",
                    hint="Choose another name or path, or remove it first.",
                )
            try:
                volume = pool.createXML(xml) if source is None else pool.createXMLFrom(xml, source)
            except libvirt.libvirtError as error:
                # "volume target path … already exists"
                if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:
                    raise AlreadyExists(
                        complaint(error), hint="Choose another name or path, or remove it first."
                    ) from error
                raise
        self._made.append(volume)
        return volume

    def _path(self, volume: libvirt.virStorageVol) -> str:
        with native("look at a new volume"):
            return str(volume.path())
