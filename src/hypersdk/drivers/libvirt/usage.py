"""Who needs an image: domains, and images that are based on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import Unless, complaint, native
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.model.errors import HyperSDKError, HypervisorError, NotFound

#: A pool or volume that was removed or stopped since it was listed.
_POOL_GONE = (
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_NO_STORAGE_VOL,
    libvirt.VIR_ERR_OPERATION_INVALID,
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Read in about one call for each domain and each image: for rare, careful operations."""

    #: Path → who uses it, for a person.
    users: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, connection: Connection, folders: Folders, *, without: str = "") -> Self:
        """``without``: UUID of a domain whose own use does not count.

        Backing images are found through the images in all started pools and in all folders where
        a domain has a disk. An overlay that lies elsewhere and belongs to no domain is not seen.
        """
        users: dict[str, list[str]] = defaultdict(list)
        places: set[str] = set()
        with native(f"see which images the domains of {connection.uri} use"):
            for name, uuid, path in _domain_images(connection.native):
                if path.startswith("/") and not path.startswith("/dev/"):
                    places.add(str(PurePosixPath(path).parent))
                if uuid != without:
                    users[path].append(f"'{name}'")
            for path, backing in _backed(connection.native, folders, places):
                users[backing].append(path)
        return cls(users)

    def of_image(self, path: str, doomed: Collection[str] = ()) -> str:
        """Who uses it, as part of a sentence; empty when nobody does. ``doomed``: images that do
        not count, because they are removed as well."""
        return ", ".join(sorted(set(self.users.get(path, ())) - set(doomed)))


def _domain_images(connection: libvirt.virConnect) -> Iterator[tuple[str, str, str]]:
    """Name, UUID, and path of each image that a domain names, whatever for."""
    for domain in connection.listAllDomains():
        with Unless(libvirt.VIR_ERR_NO_DOMAIN):
            documents = [domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)]
            if domain.isActive():
                documents.append(domain.XMLDesc())
            paths = set()
            for xml in map(translate.parsed, documents):
                for source in xml.iterfind("devices/disk//source"):
                    paths.add(_source_path(connection, source))
                for tag in ("os/kernel", "os/initrd", "os/nvram"):
                    paths.add(xml.findtext(tag, ""))
            for path in paths - {""}:
                yield domain.name(), domain.UUIDString(), path


def _source_path(connection: libvirt.virConnect, source: Element) -> str:
    path = source.get("file") or source.get("dev") or ""
    if not path and source.get("pool"):
        with Unless(*_POOL_GONE):  # a pool that is not started keeps its volumes
            pool = connection.storagePoolLookupByName(source.get("pool"))
            path = pool.storageVolLookupByName(source.get("volume")).path()
    return path


def _backed(
    connection: libvirt.virConnect, folders: Folders, places: set[str]
) -> Iterator[tuple[str, str]]:
    """Path of an image and of what it is based on, directly."""
    with ExitStack() as stack:
        for place in sorted(places):
            with suppress(NotFound):  # the folder is gone
                stack.enter_context(folders.pool(place))
        for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            with Unless(libvirt.VIR_ERR_INTERNAL_ERROR):  # makes a volume: what it knows must do
                pool.refresh()
            for volume in _volumes(pool):
                with Unless(*_POOL_GONE):
                    xml = translate.parsed(volume.XMLDesc())
                    if backing := xml.findtext("backingStore/path", ""):
                        yield volume.path(), backing


def _volumes(pool: libvirt.virStoragePool) -> Sequence[libvirt.virStorageVol]:
    with Unless(*_POOL_GONE):
        return list(pool.listAllVolumes())
    return []


def remove_images(
    connection: Connection,
    folders: Folders,
    name: str,
    disks: Sequence[Element],
    files: Sequence[str],
    usage: Usage | None,
) -> None:
    """Remove what a deleted domain had: ``files`` were made for it alone.

    Raises HypervisorError naming what was kept and why.
    """
    kept = []
    for file in files:
        kept += _removed(folders, file)
    for disk in disks:
        source = disk.find("source")
        path = "" if source is None else _source_path(connection.native, source)
        if not path:
            kept.append(f"{translate.target_of(disk)}: it is neither a file nor a volume")
        elif disk.get("type") == "block":
            kept.append(f"{path}: block devices are not removed")
        elif disk.find("shareable") is not None:
            kept.append(f"{path}: it is marked as shared")
        elif usage is not None and (users := usage.of_image(path)):
            kept.append(f"{path}: used by {users}")
        else:
            kept += _removed(folders, path)
    if kept:
        raise HypervisorError(
            f"'{name}' is deleted, but this was kept: {'; '.join(kept)}",
            hint="Remove by hand what is not needed any more.",
        )


def _removed(folders: Folders, path: str) -> list[str]:
    """Why it was not; empty when it was, or was not there."""
    try:
        with folders.volume(path) as volume:
            volume.delete()
    except NotFound:
        return []
    except libvirt.libvirtError as error:
        return [f"{path}: {complaint(error)}"]
    except HyperSDKError as error:
        return [f"{path}: {error.message}"]
    return []
