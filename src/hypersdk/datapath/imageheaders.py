"""What an image file says about itself, read by us before any program opens it.

Programs that open an image may follow the file names in it. A guest or an uploader who chooses
those names could make us read ``/etc/shadow``, so names are found here first, with nothing but
reads of the file. Layouts: qcow2 (QEMU docs/interop/qcow2.txt), VMDK (Virtual Disk Format 5.0),
VHD (Microsoft, 2006), VDI (VirtualBox, VDICore.h).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from hypersdk.datapath.failures import from_os
from hypersdk.model.errors import ImageRefused

#: Formats that are opened; QEMU knows more, each of them more code to attack.
FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "vdi", "vpc")
#: Names that promise a format: content that does not keep the promise is refused.
_SUFFIXES = {
    ".qcow2": "qcow2",
    ".vmdk": "vmdk",
    ".vhdx": "vhdx",
    ".vdi": "vdi",
    ".vhd": "vpc",
}
#: QEMU reads no more of a VMDK descriptor than this many bytes.
_DESCRIPTOR_MAX = 1 << 20

_QCOW2 = struct.Struct(">4sIQIIQI")  # magic version backing_offset backing_size bits size crypt
_QCOW2_FEATURES = struct.Struct(">Q")  # at 72, version 3: incompatible features
_QCOW2_HEADER_LENGTH = struct.Struct(">I")  # at 100, version 3
_QCOW2_EXTENSION = struct.Struct(">II")  # type, length
_QCOW2_V2_LENGTH = 72
_CORRUPT, _DATA_FILE = 1 << 1, 1 << 2
_EXTENSION_BACKING_FORMAT = 0xE2792ACA
_EXTENSION_DATA_FILE = 0x44415441
_VMDK = struct.Struct("<4sIIQQQQ")  # magic version flags capacity grain desc_offset desc_size
_SECTOR = 512
_VDI_DATA = struct.Struct("<I")  # at 0x158: offset of the first block
_VDI_BLOCKS = struct.Struct("<IIII")  # at 0x178: block size, extra bytes, blocks, allocated
_VHD_TYPE = struct.Struct(">I")  # at 60
_VHD_DIFFERENCING = 4

_EXTENT = re.compile(r'(?:RW|RDONLY|NOACCESS)\s+-?\d+\s+\w{1,9}\s*"([^"\r\n]*)"')
_PARENT = re.compile(r'parentFileNameHint\s*=\s*"([^"]*)"')


class Role(Enum):
    """What a file is to the image that names it."""

    BACKING = "backing file"
    DATA = "external data file"
    EXTENT = "extent"


@dataclass(frozen=True, slots=True)
class Reference:
    """A file name found in an image, exactly as it is written there."""

    role: Role
    name: str
    #: The format that the image claims for it; None when it claims nothing.
    format: str | None = None


def probe(path: Path) -> str:
    """The format by content; ``raw`` when nothing else fits.

    A guest writes the first bytes of a raw disk, so it can make a raw image look like any other
    format. What protects is that references are refused, and that who knows the format says so.
    Raises ImageRefused when the file's name promises another format.
    """
    head = _head(path, 4096)
    found = "raw"
    if head[:4] == b"QFI\xfb":
        found = "qcow2"
    elif head[:4] in (b"KDMV", b"COWD") or head.startswith(b"# Disk DescriptorFile"):
        found = "vmdk"
    elif head[:8] == b"vhdxfile":
        found = "vhdx"
    elif head[:8] == b"conectix":
        found = "vpc"
    elif head[0x40:0x44] == b"\x7f\x10\xda\xbe":
        found = "vdi"
    promised = _SUFFIXES.get(path.suffix.lower())
    if promised not in (None, found) and (found, promised) != ("raw", "vpc"):
        raise ImageRefused(
            f"{path} is named {path.suffix} but does not hold that format",
            hint=f"If it is intact and meant to be {found}, say so: give the format explicitly.",
        )
    # A fixed VHD has its only header at the end of the file, where a raw disk has guest data.
    return "vpc" if promised == "vpc" else found


def references(path: Path, format: str) -> list[Reference]:
    """The other files that an image of this format needs. Raises ImageRefused on a bad header."""
    if format == "qcow2":
        return _qcow2_references(path)
    if format == "vmdk":
        return _vmdk_references(path)
    if format == "vpc":
        _check_vhd(path)
    if format == "vdi":
        _check_vdi(path)
    return []


def _qcow2_references(path: Path) -> list[Reference]:
    head = _head(path, 1 << 16)
    if len(head) < _QCOW2_V2_LENGTH or head[:4] != b"QFI\xfb":
        raise ImageRefused(
            f"{path} has no complete qcow2 header", hint="The file is cut or not qcow2."
        )
    _, version, offset, size, bits, _, encryption = _QCOW2.unpack_from(head)
    if version not in (2, 3) or not 9 <= bits <= 21 or size > 1023:
        raise ImageRefused(f"{path} has a qcow2 header with impossible values")
    if encryption:
        raise ImageRefused(
            f"{path} is encrypted", hint="Convert it to an unencrypted image with qemu-img first."
        )
    features, length = 0, _QCOW2_V2_LENGTH
    if version == 3:
        if len(head) < 104:
            raise ImageRefused(f"{path} has no complete qcow2 header", hint="The file is cut.")
        features = _QCOW2_FEATURES.unpack_from(head, 72)[0]
        length = _QCOW2_HEADER_LENGTH.unpack_from(head, 100)[0]
    if features & _CORRUPT:
        raise ImageRefused(
            f"{path} is marked as corrupt by QEMU",
            hint="Keep a copy, then try: qemu-img check -r all",
        )
    extensions = _qcow2_extensions(path, head, length)
    found = []
    if features & _DATA_FILE:
        name = extensions.get(_EXTENSION_DATA_FILE, b"").decode(errors="surrogateescape")
        found.append(Reference(Role.DATA, name, "raw"))
    if offset:
        backing = _at(path, offset, size).decode(errors="surrogateescape")
        claimed = extensions.get(_EXTENSION_BACKING_FORMAT)
        found.append(
            Reference(Role.BACKING, backing, claimed.decode("latin-1") if claimed else None)
        )
    return found


def _qcow2_extensions(path: Path, head: bytes, at: int) -> dict[int, bytes]:
    extensions: dict[int, bytes] = {}
    while at + _QCOW2_EXTENSION.size <= len(head):
        kind, length = _QCOW2_EXTENSION.unpack_from(head, at)
        if kind == 0:
            return extensions
        at += _QCOW2_EXTENSION.size
        if at + length > len(head):
            break
        extensions[kind] = head[at : at + length]
        at += length + -length % 8
    raise ImageRefused(f"{path} has a qcow2 header without an end", hint="The file is damaged.")


def _vmdk_references(path: Path) -> list[Reference]:
    head = _head(path, _DESCRIPTOR_MAX)
    extents_apart = True
    if head[:4] == b"COWD":
        return []
    if head[:4] == b"KDMV":
        if len(head) < _SECTOR:
            raise ImageRefused(f"{path} has no complete VMDK header", hint="The file is cut.")
        _, _, _, capacity, _, at, size = _VMDK.unpack_from(head)
        head = _at(path, at * _SECTOR, _DESCRIPTOR_MAX) if at and size else b""
        # A sparse file with a capacity holds its data itself, whatever name its descriptor
        # gives for it (names survive renames); QEMU looks at extents only without one.
        extents_apart = capacity == 0
    text = head.split(b"\0", 1)[0].decode(errors="surrogateescape")
    found = []
    if extents_apart:
        found = [Reference(Role.EXTENT, match[1]) for match in _EXTENT.finditer(text)]
    parent = _PARENT.search(text)
    if parent is None and "parentFileNameHint" in text:
        raise ImageRefused(f"{path} names a parent that cannot be read")
    if parent is not None and parent[1]:
        found.append(Reference(Role.BACKING, parent[1], "vmdk"))
    return found


def _check_vhd(path: Path) -> None:
    """Of both footers the one at the end: QEMU would read a cut file as zeroes behind its end."""
    footer = _at(path, max(path.stat().st_size - _SECTOR, 0), _SECTOR)
    if len(footer) < _SECTOR or footer[:8] != b"conectix":
        raise ImageRefused(f"{path} does not end with a VHD footer", hint="The file is cut.")
    if _VHD_TYPE.unpack_from(footer, 60)[0] == _VHD_DIFFERENCING:
        raise ImageRefused(
            f"{path} is a differencing VHD, which is not whole without its parent",
            hint="Merge it into its parent first.",
        )


def _check_vdi(path: Path) -> None:
    """QEMU's check does not notice that allocated blocks are missing at the end."""
    head = _head(path, _SECTOR)
    if len(head) < _SECTOR:
        raise ImageRefused(f"{path} has no complete VDI header", hint="The file is cut.")
    (data,) = _VDI_DATA.unpack_from(head, 0x158)
    block, extra, _, allocated = _VDI_BLOCKS.unpack_from(head, 0x178)
    if path.stat().st_size < data + allocated * (block + extra):
        raise ImageRefused(f"{path} lacks blocks that its header counts", hint="The file is cut.")


def _head(path: Path, length: int) -> bytes:
    return _at(path, 0, length)


def _at(path: Path, offset: int, length: int) -> bytes:
    """At most ``length`` bytes; fewer when the file ends."""
    try:
        file: BinaryIO
        with open(path, "rb", buffering=0) as file:
            file.seek(min(offset, 1 << 62))
            return file.read(length)
    except OSError as error:
        raise from_os(error, path, "read") from error
