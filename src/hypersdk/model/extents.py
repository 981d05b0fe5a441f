"""Areas of a disk and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ExtentKind(Enum):
    """What a reader must do with an area."""

    #: Bytes that have to be read.
    DATA = "data"
    #: Reads as zero; never read, never stored.
    ZERO = "zero"
    #: The same bytes as at the checkpoint this source is compared with.
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Extent:
    """``length`` bytes from byte ``start`` of a disk, all of one ``kind``."""

    start: int
    length: int
    kind: ExtentKind

    @property
    def end(self) -> int:
        """First byte behind the extent."""
        return self.start + self.length
