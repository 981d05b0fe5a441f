"""Persistent bitmaps inside qcow2 images that nobody has open for writing.

A bitmap with the flag ``auto`` records every write of whoever opens the image; one that is
``in-use`` was not saved (the writer died) and says nothing any more (qcow2 specification,
"Bitmaps"). Reverting to an internal snapshot changes the disk without marking any bitmap.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hypersdk.datapath import qemutools
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.imageinspect import spelled_alone
from hypersdk.model.checkpoints import Bitmap
from hypersdk.model.errors import DataPathError


@dataclass(frozen=True, slots=True)
class ImageRecords:
    """What one image says of its changes. Sizes in bytes."""

    virtual_size: int
    actual_size: int
    bitmaps: tuple[Bitmap, ...] = ()
    #: Whether it holds internal snapshots.
    snapshots: bool = False

    def usable(self, name: str) -> bool:
        """Whether a bitmap has recorded everything since it was made."""
        return any(bitmap.name == name and bitmap.consistent for bitmap in self.bitmaps)

    def has(self, name: str) -> bool:
        return any(bitmap.name == name for bitmap in self.bitmaps)


def image_records(path: str | Path, format: str, *, in_use: bool = False) -> ImageRecords:
    """``in_use``: also while a guest runs on it; bitmaps are then as they were at its start.

    Raises NotFound, DataPathError, MissingRequirement.
    """
    share = ["--force-share"] if in_use else []
    try:
        name = spelled_alone(Path(path), format)
    except OSError as error:
        raise from_os(error, path, "look at") from error
    command = ["qemu-img", "info", *share, "--output=json", name]
    done = qemutools.run(command, subject=str(path))
    if done.status != 0:
        raise DataPathError(f"cannot look at {path}: {done.complaint}")
    info = json.loads(done.output)
    found = info.get("format-specific", {}).get("data", {}).get("bitmaps", ())
    return ImageRecords(
        virtual_size=int(info["virtual-size"]),
        actual_size=int(info.get("actual-size", 0)),
        bitmaps=tuple(_bitmap(entry, in_use) for entry in found),
        snapshots=bool(info.get("snapshots")),
    )


def _bitmap(entry: dict[str, object], in_use: bool) -> Bitmap:
    flags = entry.get("flags")
    names = flags if isinstance(flags, list) else []
    saved = in_use or "in-use" not in names  # every bitmap is, while the guest runs
    granularity = entry.get("granularity")
    return Bitmap(
        name=str(entry["name"]),
        granularity=granularity if isinstance(granularity, int) else 0,
        consistent=saved and "auto" in names,
    )


def add_bitmap(path: str | Path, name: str) -> None:
    """Begin to record changes of a qcow2 image. Raises DataPathError."""
    _run(["bitmap", "--add", "-f", "qcow2", str(path), name], path, f"add bitmap '{name}' to")


def remove_bitmap(path: str | Path, name: str) -> None:
    """Raises DataPathError."""
    _run(["bitmap", "--remove", "-f", "qcow2", str(path), name], path, f"remove '{name}' from")


def _run(arguments: list[str], path: str | Path, doing: str) -> None:
    done = qemutools.run(["qemu-img", *arguments], subject=str(path))
    if done.status != 0:
        raise DataPathError(
            f"cannot {doing} {path}: {done.complaint}",
            hint="If a guest runs on it, its hypervisor has to do it.",
        )
