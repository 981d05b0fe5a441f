"""The text that describes a VMDK on a datastore, and paths of datastores.

A descriptor names the files that hold the bytes: ``RW 20480 VMFS "web-flat.vmdk"``. Only a disk
that is one flat file can be read by ranges; snapshots are other formats, which only the host knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from hypersdk.model.errors import ImageRefused, InvalidInput

SECTOR = 512
#: Bytes of a descriptor at most; VMware's have less than 2 KiB.
MOST = 64 << 10

_EXTENT = re.compile(
    r"^(?:RW|RDONLY|NOACCESS)\s+(?P<sectors>\d{1,19})\s+(?P<kind>[A-Z0-9]+)"
    r'(?:\s+"(?P<file>[^"\n]*)"(?:\s+(?P<offset>\d{1,19}))?)?',
    re.MULTILINE,
)
_ASSIGNMENT = re.compile(
    r'^\s*(?P<key>[A-Za-z0-9_.]+)\s*=\s*"?(?P<value>[^"\n]*?)"?\s*$', re.MULTILINE
)
_FLAT = frozenset({"VMFS", "FLAT"})
_DATASTORE_PATH = re.compile(r"^\[(?P<datastore>[^\]]+)\]\s*(?P<path>.*)$")


@dataclass(frozen=True, slots=True)
class FileExtent:
    """A file that holds a part of a disk."""

    #: ``VMFS``, ``FLAT``, ``SESPARSE``, ``VMFSSPARSE``, ``VMFSRDM`` …
    kind: str
    #: Bytes of the disk.
    size: int
    #: Beside the descriptor.
    file: str


@dataclass(frozen=True, slots=True)
class DiskDescriptor:
    """What a descriptor says of a disk."""

    extents: tuple[FileExtent, ...]
    #: Descriptor of the disk that this one is a layer upon; empty: it stands alone.
    parent: str

    @classmethod
    def parse(cls, text: str) -> DiskDescriptor:
        """Raises ImageRefused for anything else."""
        if "# Disk DescriptorFile" not in text[:MOST]:
            raise ImageRefused("this is no descriptor of a VMDK")
        values = {found["key"]: found["value"] for found in _ASSIGNMENT.finditer(text)}
        extents = tuple(
            FileExtent(found["kind"], int(found["sectors"]) * SECTOR, found["file"] or "")
            for found in _EXTENT.finditer(text)
        )
        return cls(extents, values.get("parentFileNameHint", ""))

    def flat_file(self, capacity: int) -> FileExtent | str:
        """The one file that holds the whole disk, or why there is none."""
        if self.parent:
            return "the disk is a layer of a snapshot"
        if len(self.extents) != 1:
            return f"the disk is kept in {len(self.extents)} files"
        only = self.extents[0]
        if only.kind not in _FLAT or not only.file or "/" in only.file:
            return f"the disk is kept as {only.kind}, which has no flat file"
        if only.size != capacity:
            return f"its file holds {only.size} bytes, the disk has {capacity}"
        return only


@dataclass(frozen=True, slots=True)
class DatastorePath:
    """``[datastore1] web/web.vmdk``."""

    datastore: str
    path: str

    @classmethod
    def parse(cls, text: str) -> DatastorePath:
        """Raises InvalidInput."""
        found = _DATASTORE_PATH.match(text)
        if found is None:
            raise InvalidInput(f"'{text}' is no path on a datastore")
        return cls(found["datastore"], found["path"])

    def beside(self, name: str) -> DatastorePath:
        """Another file of the same folder."""
        folder, slash, _ = self.path.rpartition("/")
        return DatastorePath(self.datastore, f"{folder}{slash}{name}")

    def url(self, base: str, datacenter: str) -> str:
        """Where a server hands it out. ``base``: ``https://host``. ``datacenter``: its path in the
        inventory, ``ha-datacenter`` on an ESXi host."""
        query = f"dcPath={quote(datacenter, safe='')}&dsName={quote(self.datastore, safe='')}"
        return f"{base}/folder/{quote(self.path)}?{query}"

    def __str__(self) -> str:
        return f"[{self.datastore}] {self.path}"
