"""What vSphere knows about a disk before it is read: what changed, and what is allocated at all."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.vsphere.changedareas import ALLOCATED, Areas, changed_areas
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk, Token, why_full
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable, Interrupted
from hypersdk.model.units import format_size

#: Areas said to be empty that are looked at, and bytes of each.
_SAMPLES = 24
_SAMPLE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Known:
    """Of one disk."""

    #: None: it has to be read in full.
    changed: Areas | None
    #: None: not known; all of it may hold data.
    allocated: Areas | None
    #: By which record changes are known, or why they are not.
    reason: str
    #: Worth a word in the restore point.
    warning: str = ""


class ChangeRecord:
    """vSphere's record of the changes of one machine, asked for one moment of it."""

    def __init__(self, connection: Connection, vm: Any, instance: str, snapshot: Any) -> None:
        self._connection, self._vm = connection, vm
        self._instance, self._snapshot = instance, snapshot

    def of(self, disk: SourceDisk, since: Mapping[str, str]) -> Known:
        """Never raises for a record that is of no use: the disk is then read in full."""
        allocated, warning = None, ""
        if disk.change_id:
            found = self._asked(disk, ALLOCATED)
            if isinstance(found, Areas):
                allocated = found
            else:
                warning = f"{disk.disk.name}: what is allocated is not known: {found}"
        token = why_full(disk, since)
        if isinstance(token, str):
            return Known(None, allocated, token, warning)
        changed = self._asked(disk, token.change)
        if isinstance(changed, str):
            reason = f"the record of changes is of no use: {changed}"
            return Known(None, allocated, reason, f"{disk.disk.name}: {reason}")
        amount = format_size(changed.total)
        reason = f"{amount} in {len(changed)} areas changed since {_short(token)}"
        return Known(changed, allocated, reason, warning)

    def _asked(self, disk: SourceDisk, change_id: str) -> Areas | str:
        name = f"disk {disk.disk.name} of '{self._instance}'"

        def query(start: int) -> Any:
            return self._connection.call(
                lambda: self._vm.QueryChangedDiskAreas(self._snapshot, disk.key, start, change_id),
                f"ask what changed of {name}",
            )

        try:
            return changed_areas(query, disk.disk.size, name)
        except (Interrupted, HypervisorUnreachable):
            raise
        except HyperSDKError as error:
            return error.message


def trusted(known: Known, source: BlockSource, disk: str) -> Known:
    """``known``, less what turns out wrong: of areas said to be empty some are looked at.

    Broadcom's KB 2090639: after a disk grew past 128 GB, records were wrong, this one as well.
    """
    if known.allocated is None:
        return known
    buffer = memoryview(bytearray(_SAMPLE_BYTES))
    dice = random.SystemRandom()
    for start, length in _sampled(known.allocated, source.size, dice):
        part = buffer[:length]
        source.readinto(start, part)
        if any(part):
            warning = f"{disk}: data was found at {start}, which is said to be empty: all is read"
            return Known(None, None, "the record of changes is wrong", warning)
    return known


def _sampled(allocated: Areas, size: int, dice: random.Random) -> list[tuple[int, int]]:
    empty = [(start, end) for start, end, data in allocated.runs(0, size) if not data]
    total = sum(end - start for start, end in empty)
    if not total:
        return []
    places = sorted(dice.randrange(total) for _ in range(_SAMPLES))
    found: list[tuple[int, int]] = []
    before = 0
    for start, end in empty:
        while places and places[0] < before + end - start:
            at = start + places.pop(0) - before
            at -= at % 512
            at = max(at, start)
            found.append((at, min(_SAMPLE_BYTES, end - at)))
        before += end - start
    return found


def _short(token: Token) -> str:
    """A change id has 47 characters and a number: the number tells a person more."""
    return f"moment {token.change.rpartition('/')[2] or token.change}"
