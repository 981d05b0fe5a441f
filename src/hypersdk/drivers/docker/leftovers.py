"""Clean up what runs left that were killed: containers that they had paused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.pausing import Record, dead_records, resume


class DockerLeftovers:
    """The ``leftovers`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reap(self, *, dry_run: bool = False) -> Sequence[str]:
        """See the port. Runs on other engines are left to their own."""
        done = []
        for path, record in dead_records():
            if record.url == self._connection.url:
                done.append(f"{record.name}: resumed after a backup that was killed")
                if not dry_run:
                    clean(self._connection, path, record)
        return done


def clean(connection: Connection, path: Path, record: Record) -> None:
    """Undo what the record says, then remove it."""
    resume(connection, record)
    path.unlink(missing_ok=True)
