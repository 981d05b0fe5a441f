"""The token by which the next backup finds the moment of this one, and the name of that moment.

A token belongs to one disk: the checkpoint alone does not tell two disks apart that were exchanged,
nor two checkpoints that got the same name one after the other.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from hypersdk.drivers.libvirt.disksources import DiskSource
from hypersdk.model.units import format_size

#: Checkpoints of this series have names that never come twice.
SERIES = "hypersdk"
_KIND = "libvirt"


@dataclass(frozen=True, slots=True)
class Moment:
    """A checkpoint that we made."""

    name: str
    #: Random, kept in the checkpoint's description: names of other series are numbers.
    identity: str

    @classmethod
    def new(cls, series: str, taken: Iterable[str]) -> Moment:
        """The next of a series. ``taken``: names of checkpoints and bitmaps that exist."""
        identity = secrets.token_hex(8)
        if series == SERIES:
            return cls(f"{series}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{identity}", identity)
        numbers = [number(series, name) for name in taken]
        return cls(f"{series}.{max(numbers, default=-1) + 1}", identity)

    @property
    def unique(self) -> bool:
        """A bitmap of this name can only be ours, also where the checkpoint was forgotten."""
        return self.name.startswith(f"{SERIES}.") and self.name.endswith(self.identity)


def number(series: str, name: str) -> int:
    """N of ``<series>.N``; -1 for other names."""
    tail = name.removeprefix(f"{series}.")
    return int(tail) if tail != name and tail.isascii() and tail.isdigit() else -1


@dataclass(frozen=True, slots=True)
class Token:
    """A moment of one disk."""

    checkpoint: str
    identity: str
    #: Seconds since 1970, for the case that the checkpoint has to be described to libvirt anew.
    created: int
    #: Bytes of the disk.
    size: int
    #: Digest of the image's path: a repository's reader need not learn where disks are.
    path: str

    @classmethod
    def of(cls, moment: Moment, disk: DiskSource) -> Token:
        created = int(datetime.now(UTC).timestamp())
        return cls(moment.name, moment.identity, created, disk.size, digest(disk.path))

    def __str__(self) -> str:
        return f"{_KIND}:{json.dumps(asdict(self), separators=(',', ':'))}"

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """None for anything that is not a token of this driver."""
        kind, _, body = text.partition(":")
        if kind != _KIND:
            return None
        try:
            return cls(**json.loads(body))
        except (ValueError, TypeError):
            return None

    @property
    def moment(self) -> Moment:
        return Moment(self.checkpoint, self.identity)

    def mismatch(self, disk: DiskSource) -> str:
        """Why it belongs to another disk; empty when it belongs to this one."""
        if self.size != disk.size:
            return f"the disk was resized from {format_size(self.size)} to {format_size(disk.size)}"
        if not any(digest(path) == self.path for path in disk.chain):
            return "its image was moved or replaced since the last backup"
        return ""


def digest(path: str) -> str:
    """Hex, 16 characters."""
    return hashlib.blake2s(path.encode(errors="surrogateescape"), digest_size=8).hexdigest()
