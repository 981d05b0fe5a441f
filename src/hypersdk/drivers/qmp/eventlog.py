"""What QEMU reports, in a file that any number of processes may read.

A monitor reports events to its one client. But QEMU also writes what it says to a chardev's log
file, whether a client is there or not, and a monitor that was greeted once goes on reporting after
its client has left. So whoever starts an instance greets the monitor ``events`` once, and from
then on ``run/events.log`` has every event, a line each, until the end of the process: its last
lines tell an orderly end from a death.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Bytes at the end of a log in which the last events are looked for.
_TAIL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """One event of QEMU."""

    name: str
    time: datetime
    data: dict[str, Any]


def was_greeted(run: Path) -> bool:
    """Whether the log is being written: QEMU came up, and its monitor was greeted."""
    with suppress(FileNotFoundError), open(run / "events.log", "rb") as log:
        return any(b'"return"' in line for line in log.read(4096).splitlines()[:4])
    return False


def ended_orderly(run: Path) -> bool:
    """Whether the process said that it shuts down: by the guest, by us, or by a signal that it
    could obey."""
    with suppress(FileNotFoundError), open(run / "events.log", "rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL))
        return any(report.name == "SHUTDOWN" for report in parsed(log.read()))
    return False


def parsed(text: bytes) -> Iterator[Report]:
    """Events of whole lines; what is no event is left out."""
    for line in text.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            content = json.loads(line)
            stamp = content["timestamp"]
            seconds = stamp["seconds"] + stamp["microseconds"] / 1e6
            yield Report(
                content["event"], datetime.fromtimestamp(seconds, UTC), content.get("data", {})
            )
