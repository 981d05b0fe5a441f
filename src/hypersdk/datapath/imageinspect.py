"""Deciding whether an image may be opened, and how.

The outcome names every file and every format of the chain. From it comes the description that
qemu-nbd is given (``node``), in which nothing is left to be probed or followed: a backing file
that is not in it is not opened, even if the image is exchanged after the inspection.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypersdk.datapath import qemutools
from hypersdk.datapath.imageheaders import FORMATS, Reference, Role, probe, references
from hypersdk.datapath.raw import RawSource
from hypersdk.model.errors import ImageRefused, InvalidInput

#: Longest chain of backing files that is followed.
CHAIN_MAX = 64
#: Largest disk in bytes (1 PiB). Larger ones are lies of a damaged or hostile header.
SIZE_MAX = 1 << 50
#: Seconds that a check of an image's own tables may take.
CHECK_SECONDS = 900
#: qemu-img check: status for "only leaked space" and for "the format has no check".
_CHECK_LEAKS, _CHECK_UNSUPPORTED = 3, 63


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image that may be opened."""

    path: Path
    format: str
    #: Bytes of the disk that the image holds.
    size: int
    backing: ImageInfo | None = None
    data_file: Path | None = None

    def node(self, alone: bool = False) -> dict[str, Any]:
        """The block node as QEMU's ``BlockdevOptions``, complete: QEMU opens nothing else.

        ``alone`` leaves out the backing file, for programs that look only at the tables.
        """
        node: dict[str, Any] = {"driver": self.format, "file": _file_node(self.path)}
        if self.format in ("qcow2", "vmdk"):
            node["backing"] = None if alone or self.backing is None else self.backing.node()
        if self.data_file is not None:
            node["data-file"] = {"driver": "raw", "file": _file_node(self.data_file)}
        return node


def inspect(
    path: str | os.PathLike[str],
    format: str | None = None,
    allow_backing: Sequence[str | os.PathLike[str]] = (),
) -> ImageInfo:
    """Look at an image without trusting it.

    ``format`` wins over probing; say it whenever it is known, above all ``raw`` (a guest can make
    a raw disk look like another format, see `imageheaders.probe`). Block devices are raw unless
    said otherwise. ``allow_backing`` are files, or folders with all in them, that the image may
    refer to; extents of a VMDK may also lie in the image's own folder. References with a protocol
    (``nbd:``, ``json:``) are always refused.

    Raises ImageRefused, NotFound, DataPathError, MissingRequirement.
    """
    if format is not None and format not in FORMATS:
        raise InvalidInput(f"'{format}' is not an image format", hint=f"Use {', '.join(FORMATS)}.")
    allowed = [Path(entry).resolve() for entry in allow_backing]
    return _inspect(Path(path), format, allowed, ())


def check(info: ImageInfo) -> None:
    """Have the tables of the image and its backing files checked.

    A file that was cut off reads as zeroes behind its end and would be copied as such.
    Raises ImageRefused.
    """
    step: ImageInfo | None = info
    while step is not None and step.format != "raw":
        done = qemutools.run(
            ["qemu-img", "check", "-q", _spelled(step.node(alone=True))],
            subject=str(step.path),
            seconds=CHECK_SECONDS,
        )
        if done.status not in (0, _CHECK_LEAKS, _CHECK_UNSUPPORTED):
            raise _refused(step.path, done)
        step = step.backing


def spelled(info: ImageInfo) -> str:
    """The node as a file name that qemu programs take."""
    return _spelled(info.node())


def packed(info: ImageInfo) -> str:
    """The node as a file name, with a filter above it that packs what is written."""
    return _spelled({"driver": "compress", "file": info.node()})


def spelled_alone(path: Path, format: str) -> str:
    """One image without its backing files, as a file name that qemu programs take."""
    return _spelled(ImageInfo(path, format, 0).node(alone=True))


def _inspect(
    path: Path, format: str | None, allowed: list[Path], above: tuple[Path, ...]
) -> ImageInfo:
    with RawSource(path) as file:  # says clearly when it is missing, forbidden, or no file at all
        size = file.size
    path = path.resolve()
    if path in above or len(above) >= CHAIN_MAX:
        raise ImageRefused(f"the backing files of {above[0]} go in circles or too deep")
    if format is None:
        format = "raw" if stat.S_ISBLK(path.stat().st_mode) else probe(path)
    if format == "raw":
        return ImageInfo(path, format, size)
    backing, data_file = None, None
    for reference in references(path, format):
        target = _resolved(path, reference, allowed)
        if reference.role is Role.BACKING:
            if reference.format not in (None, *FORMATS):
                raise ImageRefused(f"{path} names a backing file of format '{reference.format}'")
            backing = _inspect(target, reference.format, allowed, (*above, path))
        elif reference.role is Role.DATA:
            data_file = target
    info = ImageInfo(path, format, 0, backing, data_file)
    return ImageInfo(path, format, _virtual_size(info), backing, data_file)


def _resolved(image: Path, reference: Reference, allowed: list[Path]) -> Path:
    """The file that is referred to, if policy allows it."""
    name = reference.name
    what = f"{image} refers to the {reference.role.value} '{name}'"
    if not name or re.match(r"[^/]*:", name):
        raise ImageRefused(f"{what}, which is not a plain file name", hint="This is never allowed.")
    target = (image.parent / name).resolve()
    own = [image.parent] if reference.role is Role.EXTENT else []
    if not any(target == entry or entry in target.parents for entry in (*allowed, *own)):
        raise ImageRefused(
            what,
            hint=f"If you trust this image, allow the file or its folder: {target.parent}",
        )
    return target


def _virtual_size(info: ImageInfo) -> int:
    command = ["qemu-img", "info", "--output=json", _spelled(info.node(alone=True))]
    done = qemutools.run(command, subject=str(info.path))
    if done.status != 0:
        raise _refused(info.path, done)
    size = int(json.loads(done.output)["virtual-size"])
    if not 0 <= size <= SIZE_MAX:
        raise ImageRefused(f"{info.path} claims a disk of {size} bytes")
    return size


def _refused(path: Path, done: qemutools.Outcome) -> ImageRefused:
    reason = re.sub(r"'json:.*?\}+'", "it", done.complaint or done.output.strip())
    return ImageRefused(
        f"{path} cannot be used: {reason or 'it is damaged'}",
        hint="See what qemu-img check says about it; if a guest runs on it, stop the guest or "
        "back it up through its hypervisor.",
    )


def _file_node(path: Path) -> dict[str, str]:
    device = stat.S_ISBLK(path.stat().st_mode)
    return {"driver": "host_device" if device else "file", "filename": str(path)}


def _spelled(node: dict[str, Any]) -> str:
    try:
        return "json:" + json.dumps(node, ensure_ascii=False).encode().decode()
    except UnicodeEncodeError as error:
        raise ImageRefused(
            "an image has a name that is not UTF-8, which qemu programs cannot take",
            hint="Rename it, or make a link with a plain name.",
        ) from error
