"""The token by which the next backup finds the moment of this one.

A token belongs to one disk: the bitmap's name alone does not tell two disks apart that were
exchanged.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from hypersdk.drivers.qmp.definition import DiskRecord
from hypersdk.model.units import format_size

_KIND = "qmp"


def new_bitmap(series: str) -> str:
    """A name that never comes twice: a bitmap that has it was made for this moment."""
    return f"{series}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Token:
    """A moment of one disk."""

    #: Bitmap that records what changed since.
    bitmap: str
    #: Bytes of the disk.
    size: int
    #: Digest of the image's path: a repository's reader need not learn where disks are.
    path: str

    @classmethod
    def of(cls, bitmap: str, disk: DiskRecord) -> Token:
        return cls(bitmap, disk.size, digest(disk.path))

    def __str__(self) -> str:
        return f"{_KIND}:{json.dumps(asdict(self), separators=(',', ':'))}"

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """None for anything that is not a token of this driver."""
        kind, _, body = text.partition(":")
        if kind != _KIND:
            return None
        try:
            found = cls(**json.loads(body))
        except (ValueError, TypeError):
            return None
        return found if isinstance(found.bitmap, str) else None

    def mismatch(self, disk: DiskRecord) -> str:
        """Why it belongs to another disk; empty when it belongs to this one."""
        if self.size != disk.size:
            return f"the disk was resized from {format_size(self.size)} to {format_size(disk.size)}"
        if self.path != digest(disk.path):
            return "its image was moved, replaced or got an overlay since the last backup"
        return ""


def digest(path: str) -> str:
    """Hex, 16 characters."""
    return hashlib.blake2s(path.encode(errors="surrogateescape"), digest_size=8).hexdigest()
