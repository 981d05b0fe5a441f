"""What an unfinished export has complete, and of which moment it is.

``.<name>.checkpoint.json`` is replaced as a whole whenever a disk is complete, so that a killed
export finds it as it was after its last complete disk. It holds names, sizes and digests; no
secrets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hypersdk.artifacts.newfile import write_file

_VERSION = 1
#: Bytes; that of an instance with a thousand disks has a tenth of it.
_MOST = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedDisk:
    """A disk whose file is complete. Bytes."""

    file: str
    #: Of the file.
    size: int
    #: Virtual size.
    capacity: int
    #: Algorithm → hex.
    digests: Mapping[str, str]
    read: int
    #: In an archive: place of the file's header. 0 otherwise.
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of one export."""

    instance: str
    #: What has to be the same for files to be taken over: format, what is left out, packing.
    options: Mapping[str, Any]
    #: Evidence of the moment (`exporting.evidence`).
    moment: Mapping[str, Any] = field(default_factory=dict)
    disks: Mapping[str, FinishedDisk] = field(default_factory=dict)
    #: The instance ran and was shut down for this export.
    shut_down: bool = False
    #: The snapshot that was made for this export.
    snapshot: str = ""
    #: Files that were complete when publishing began.
    publishing: tuple[str, ...] = ()
    #: Seconds since the epoch at which the moment of the export was.
    time: float = 0.0

    def with_disk(self, name: str, disk: FinishedDisk) -> Checkpoint:
        """And this one is complete."""
        return replace(self, disks={**self.disks, name: disk})

    def save(self, path: Path) -> None:
        """Atomically, for its owner only."""
        content = json.dumps({"version": _VERSION, **asdict(self)}, indent=1)
        write_file(path, content.encode(), overwrite=True)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """None where there is none, or none that can be understood: nothing is taken over then."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST:
                return None
            found = json.load(file)
        return _decoded(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _decoded(found: dict[str, Any]) -> Checkpoint | None:
    if found.pop("version") != _VERSION:
        return None
    disks = {str(name): _disk(disk) for name, disk in found.pop("disks").items()}
    return Checkpoint(
        instance=str(found["instance"]),
        options=dict(found["options"]),
        moment=dict(found["moment"]),
        disks=disks,
        shut_down=bool(found["shut_down"]),
        snapshot=str(found["snapshot"]),
        publishing=tuple(_plain(name) for name in found["publishing"]),
        time=float(found["time"]),
    )


def _disk(found: dict[str, Any]) -> FinishedDisk:
    return FinishedDisk(
        file=_plain(found["file"]),
        size=int(found["size"]),
        capacity=int(found["capacity"]),
        digests={str(key): str(value) for key, value in found["digests"].items()},
        read=int(found["read"]),
        place=int(found["place"]),
    )


def _plain(name: str) -> str:
    """A name in the folder; raises ValueError for one that leads elsewhere."""
    if name != os.path.basename(name) or name in {"", ".", ".."}:
        raise ValueError(name)
    return name
