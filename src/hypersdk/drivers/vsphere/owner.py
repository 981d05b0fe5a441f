"""Who made something temporary: told by what is written beside it, also after that run has died."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

PREFIX = "hypersdk-"
_MARK = "hypersdk: temporary, "
_TEXT = re.compile(r"^hypersdk: temporary, (?P<host>\S+) (?P<pid>\d+) (?P<began>\d+)$")
#: Runs on other machines cannot be asked; none takes longer.
_OTHERS_MAY_TAKE = timedelta(days=1)


def new_name(now: datetime | None = None) -> str:
    """A name that never comes twice: ``hypersdk-20260921T101500Z-3fa2``."""
    return f"{PREFIX}{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on a machine."""

    host: str
    pid: int
    #: Ticks from boot to its start (proc(5), stat, field 22): process ids come again.
    began: int

    @classmethod
    def this(cls) -> Owner:
        return cls(_hostname(), os.getpid(), _began(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """None for what is not ours."""
        found = _TEXT.match(text.strip())
        return cls(found["host"], int(found["pid"]), int(found["began"])) if found else None

    def __str__(self) -> str:
        return f"{_MARK}{self.host} {self.pid} {self.began}"

    def is_dead(self, made: datetime, now: datetime) -> bool:
        """Whether nobody is at it any more. ``made``, ``now``: by the hypervisor's clock."""
        if self.host == _hostname():
            return self.is_gone
        return now - made > _OTHERS_MAY_TAKE

    @property
    def is_gone(self) -> bool:
        """It was a run on this machine, and is over. Of runs elsewhere nothing is known."""
        return self.host == _hostname() and _began(self.pid) != self.began

    @property
    def is_this(self) -> bool:
        return self == Owner.this()


def _hostname() -> str:
    return re.sub(r"\s", "_", socket.gethostname()) or "localhost"


def _began(pid: int) -> int:
    """-1: there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    # The name of the program stands in parentheses and may contain anything.
    return int(stat.rpartition(")")[2].split()[19])
