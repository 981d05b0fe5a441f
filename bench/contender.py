"""What a contender is: a program, and how it is called for each measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Command

#: Measures that every contender may take part in, in the order in which they run.
#: ``second`` is the backup of the next day's image, with about 3 % rewritten.
RACES = ("first", "unchanged", "restore", "second")

#: Protects throw-away repositories that live for a few minutes, ours and the peers'.
PASSPHRASE = "benchmark"  # noqa: S105

OURS = "hypersdk"
LIMIT = "limit"
LEAST = "least backup"


@dataclass(frozen=True, slots=True)
class Trial:
    """One timed program call."""

    command: Command
    #: The disk it writes; compared with the original afterwards, outside the timing.
    restored: Path | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A program in the race, called in one way. Each way of calling it is its own contender."""

    name: str
    variant: str
    #: What the program says of itself; empty when it is not installed.
    version: str
    #: Its own folder: repository, caches, restored disks. Made and removed by the harness.
    folder: Path
    #: Measure → call. A contender takes part in what is here.
    trials: Mapping[str, Trial]
    #: Calls before the first trial that are not timed: making an empty repository.
    prepare: tuple[Command, ...] = ()
    #: Where its backup lies, to say how large it is.
    stored: Path | None = None

    @property
    def label(self) -> str:
        """Name for a table: ``borg (--sparse)``."""
        return f"{self.name} ({self.variant})" if self.variant else self.name


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured run."""

    contender: str
    variant: str
    measure: str
    round: int
    seconds: float
    cpu_seconds: float
    #: Bytes.
    peak_rss: int
    #: One-minute load average before the run: other work on the machine shows here.
    load: float
    #: Bytes on disk in the contender's store after the run; 0 when it keeps nothing.
    stored: int = 0
    #: What only some programs say of themselves: seconds without interpreter start, for example.
    details: Mapping[str, float] = field(default_factory=dict)
