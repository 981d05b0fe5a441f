"""The ``provisioning`` part: define domains from what restore points hold."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from hypersdk.datapath.image import ImageSink, create_image
from hypersdk.datapath.ports import BlockSink
from hypersdk.datapath.publish import check_target
from hypersdk.datapath.raw import RawSink
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.libvirt import adjusting
from hypersdk.drivers.libvirt.adjusting import SavedDomain
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.guestfiles import DEFINITION_KIND
from hypersdk.drivers.libvirt.inventory import described
from hypersdk.drivers.libvirt.marks import mark, marks
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.drivers.libvirt.variables import take_variables
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Definition, Disk, Instance, Purpose

#: Pools whose volumes are files in one folder.
_FOLDER_POOLS = ("dir", "fs", "netfs")
#: Pools whose volumes are block devices, called as the volume in the pool's folder.
_DEVICE_POOLS = ("logical", "zfs")
_SUFFIXES = {"qcow2": "qcow2", "raw": "img"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one disk is going to be."""

    path: Path
    format: str
    #: A volume of a pool that is a block device, made when it is first written.
    pool: str = ""


class LibvirtProvisioning:
    """Define domains on this host."""

    kinds = frozenset({DEFINITION_KIND})

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self, definition: Definition, disks: Sequence[Disk], placement: Placement
    ) -> DomainBuilding:
        """See the port."""
        saved = SavedDomain.of(definition)
        name = placement.name or saved.name
        self._refuse_existing(name, placement)
        xml = saved.xml
        places = self._places(saved, name, disks, placement)  # before the names change
        other = self._holder(saved.uuid)
        keeps_uuid = other in (None, name)
        before = marks(xml)
        noted = replace(before, made=True, tags={**before.tags, **placement.tags})
        # The original's cloud-init image goes with the original, and not with its copy.
        mark(xml, noted if keeps_uuid else replace(noted, seed=""))
        adjusting.rename(xml, name, saved.uuid if keeps_uuid else "")
        if not keeps_uuid if placement.new_macs is None else placement.new_macs:
            adjusting.new_macs(xml)
        self._connect(xml, placement)
        adjusting.forget_run_paths(xml)
        adjusting.media_may_be_missing(xml)
        if not any(disk.purpose is Purpose.NVRAM for disk in disks):
            adjusting.forget_nvram(xml)
        for disk in disks:
            place = places[disk.name]
            if not place.pool:
                check_target(place.path, placement.overwrite)
            if disk.purpose is not Purpose.DISK:
                adjusting.set_boot_file(xml, disk.purpose.value, str(place.path))
        adjusting.place_disks(
            xml,
            {
                disk.name: (str(place.path), place.format, bool(place.pool))
                for disk, place in ((disk, places[disk.name]) for disk in disks)
                if disk.purpose is Purpose.DISK
            },
        )
        return DomainBuilding(
            self._connection, name, xml, saved.autostart, places, disks, placement
        )

    def discard(self, name: str, files: Sequence[str]) -> None:
        """See the port."""
        with contextlib.suppress(InstanceNotFound):
            domain = self._connection.domain(name)
            with native(f"remove '{name}'"):
                if domain.isActive():
                    domain.destroy()
                _undefine(domain, libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        for file in files:
            if Path(file).is_block_device():
                with native(f"remove volume {file}"):
                    self._connection.native.storageVolLookupByPath(file).delete()
            else:
                Path(file).unlink(missing_ok=True)

    def take_variables(self, name: str, content: bytes) -> str:
        """See `variables.take_variables`."""
        return take_variables(self._connection, name, content)

    # Names

    def _refuse_existing(self, name: str, placement: Placement) -> None:
        try:
            domain = self._connection.domain(name)
        except InstanceNotFound:
            return
        if not placement.overwrite:
            raise AlreadyExists(
                f"'{name}' exists on {self._connection.uri}",
                hint="Choose another name with --as, or replace it with --overwrite.",
            )
        with native(f"look at '{name}'"):
            if domain.isActive():
                raise InvalidState(
                    f"'{name}' runs and cannot be replaced",
                    hint=f"Stop it first: virsh shutdown {name}",
                )

    def _holder(self, uuid: str) -> str | None:
        """Name of the domain that has this UUID."""
        if not uuid:
            return None
        with native(f"look for a domain with the UUID {uuid}"):
            try:
                return str(self._connection.native.lookupByUUIDString(uuid).name())
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return None
                raise

    # Networks

    def _connect(self, xml: Element, placement: Placement) -> None:
        if placement.isolated:
            adjusting.isolate(xml)
            return
        for kind, name in adjusting.connect_nics(xml, placement.networks):
            if kind == "network":
                self._need_network(name)

    def _need_network(self, name: str) -> None:
        with native("list the networks"):
            known = [network.name() for network in self._connection.native.listAllNetworks()]
        if name not in known:
            raise NotFound(
                f"there is no network '{name}' on {self._connection.uri}",
                hint=f"Use another with --map-network {name}=OTHER. "
                f"There is: {', '.join(known) or 'none'}.",
            )

    # Places

    def _places(
        self, saved: SavedDomain, name: str, disks: Sequence[Disk], placement: Placement
    ) -> Mapping[str, Place]:
        folder = self._folder(placement)
        elements = adjusting.disk_elements(saved.xml)
        old = {target: self._was_at(element) for _, element, target in elements}
        places: dict[str, Place] = {}
        taken: set[Path] = set()
        for disk in disks:
            was = old.get(disk.name, "")
            if disk.purpose is not Purpose.DISK:
                was = saved.xml.findtext(f"os/{disk.purpose.value}") or ""
            place = self._place(disk, was, name, folder, placement, saved)
            if place.path in taken:  # two disks had files of the same name in different folders
                place = Place(place.path.with_name(_file_name(name, disk)), place.format)
            taken.add(place.path)
            places[disk.name] = place
        return places

    def _was_at(self, disk: Element) -> str:
        """Path of a disk; empty when it was a volume of a pool that is not here."""
        pool, volume = adjusting.volume(disk)
        if not pool:
            return adjusting.source_path(disk)
        try:
            folder = self._pool_folder(pool)
        except NotFound:
            return ""
        return str(folder / volume) if folder else ""

    def _place(
        self,
        disk: Disk,
        old: str,
        name: str,
        folder: Path | None,
        placement: Placement,
        saved: SavedDomain,
    ) -> Place:
        image_format = disk.format if disk.format in _SUFFIXES else "qcow2"
        if folder is None and placement.pool and disk.purpose is Purpose.DISK:
            return Place(self._volume_path(placement.pool, name, disk), "raw", placement.pool)
        # A kernel may belong to several instances: each gets its own.
        shared = disk.purpose in (Purpose.KERNEL, Purpose.INITRD)
        renamed = name != saved.name or not old or shared
        parent = folder or (Path(old).parent if old else None)
        if parent is None:
            raise InvalidInput(
                f"it is not known where disk {disk.name} was", hint="Name a --dir or a --pool."
            )
        if folder is None and old.startswith("/dev/"):
            raise InvalidInput(
                f"disk {disk.name} was on the block device {old}",
                hint="Name a --dir or a --pool for it.",
            )
        return Place(parent / (_file_name(name, disk) if renamed else Path(old).name), image_format)

    def _folder(self, placement: Placement) -> Path | None:
        if placement.folder and placement.pool:
            raise InvalidInput("a folder and a pool exclude each other", hint="Name one of them.")
        if placement.folder:
            folder = Path(placement.folder)
            if not folder.is_dir():
                raise NotFound(f"there is no folder {folder}", hint=f"mkdir -p {folder}")
            return folder.absolute()
        return self._pool_folder(placement.pool) if placement.pool else None

    def _pool_folder(self, pool: str) -> Path | None:
        """None when its volumes are block devices. Raises InvalidInput for pools of other kinds."""
        xml = self._pool_xml(pool)
        path, kind = xml.findtext("target/path") or "", xml.get("type", "")
        if kind not in (*_FOLDER_POOLS, *_DEVICE_POOLS):
            raise InvalidInput(
                f"disks cannot be restored into the pool '{pool}' of type {kind}",
                hint=f"Use one of type {', '.join((*_FOLDER_POOLS, *_DEVICE_POOLS))}.",
            )
        return Path(path) if kind in _FOLDER_POOLS else None

    def _pool_xml(self, name: str) -> Element:
        with native(f"look at the pool '{name}'"):
            return parsed(self._connection.native.storagePoolLookupByName(name).XMLDesc(0))

    def _volume_path(self, pool: str, name: str, disk: Disk) -> Path:
        path = self._pool_xml(pool).findtext("target/path") or ""
        return Path(path) / _volume_name(name, disk)


def _file_name(name: str, disk: Disk) -> str:
    suffix = _SUFFIXES.get(disk.format, "qcow2")
    if disk.purpose is Purpose.NVRAM:
        return f"{name}_VARS.fd".replace("/", "_")
    if disk.purpose is not Purpose.DISK:
        return f"{name}-{disk.name}".replace("/", "_")
    return f"{name}-{disk.name}.{suffix}".replace("/", "_")


def _volume_name(name: str, disk: Disk) -> str:
    return f"{name}-{disk.name}".replace("/", "_").replace(" ", "_")


class DomainBuilding:
    """See the port. Order of ``commit``: the domain is defined first, which fails early and is
    easily undone; then the disks get their names."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        xml: Element,
        autostart: bool,
        places: Mapping[str, Place],
        disks: Sequence[Disk],
        placement: Placement,
    ) -> None:
        self.name = name
        self._connection = connection
        self._xml = xml
        self._autostart = autostart and not placement.isolated
        self._places = places
        self._disks = {disk.name: disk for disk in disks}
        self._overwrite = placement.overwrite
        self._sinks: dict[str, RawSink | ImageSink] = {}
        self._published: list[Path] = []
        self._volumes: list[libvirt.virStorageVol] = []
        self._committed = False

    def path(self, disk: str) -> str:
        """See the port."""
        return str(self._places[disk].path)

    def sink(self, disk: str) -> BlockSink:
        """See the port."""
        place, size = self._places[disk], self._disks[disk].size
        if place.pool:
            self._volumes.append(self._volume(place, size))
            sink: RawSink | ImageSink = RawSink.open_existing(place.path)
        else:
            sink = create_image(place.path, size, place.format, self._overwrite)
        self._sinks[disk] = sink
        return sink.clone()

    def _volume(self, place: Place, size: int) -> libvirt.virStorageVol:
        """Room on a block device, read as zero or not: all of it is written."""
        xml = Element("volume")
        SubElement(xml, "name").text = place.path.name
        SubElement(xml, "capacity").text = str(size)
        with native(f"make a volume of {size} bytes in the pool '{place.pool}'"):
            pool = self._connection.native.storagePoolLookupByName(place.pool)
            return pool.createXML(tostring(xml, encoding="unicode"))

    def commit(self) -> Instance:
        """See the port."""
        before = self._replaced()
        domain = self._defined()
        try:
            for name, sink in self._sinks.items():
                sink.commit()
                if not self._places[name].pool:
                    self._published.append(self._places[name].path)
                sink.close()
        except BaseException:
            with contextlib.suppress(libvirt.libvirtError):
                _undefine(domain)
                if before is not None:
                    self._connection.native.defineXML(before)
            raise
        self._committed = True
        self._refresh_pools()
        with native(f"look at '{self.name}'"):
            if self._autostart:
                domain.setAutostart(True)
            return described(domain)

    def _refresh_pools(self) -> None:
        """So that pools list the new files; a pool that cannot look now lists them later."""
        folders = {str(path.parent) for path in self._published}
        with contextlib.suppress(libvirt.libvirtError, HyperSDKError):
            for pool in self._connection.native.listAllStoragePools(0):
                if pool.isActive() and parsed(pool.XMLDesc(0)).findtext("target/path") in folders:
                    pool.refresh(0)

    def _replaced(self) -> str | None:
        """Make room for the new definition; the XML of the old one."""
        try:
            old = self._connection.domain(self.name)
        except InstanceNotFound:
            return None
        with native(f"replace '{self.name}'"):
            secure = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
            before = str(old.XMLDesc(secure))
            _undefine(old)
            return before

    def _defined(self) -> libvirt.virDomain:
        with native(f"define '{self.name}'"):
            return self._connection.native.defineXML(tostring(self._xml, encoding="unicode"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sink in self._sinks.values():
            with contextlib.suppress(HyperSDKError):
                sink.close()
        if self._committed:
            return
        for path in self._published:
            path.unlink(missing_ok=True)
        for volume in self._volumes:
            with contextlib.suppress(libvirt.libvirtError):
                volume.delete()


def _undefine(
    domain: libvirt.virDomain, nvram: int = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
) -> None:
    """The definition with what libvirt keeps beside it; disks stay, and UEFI variables unless
    ``nvram`` says otherwise."""
    domain.undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | nvram
    )
