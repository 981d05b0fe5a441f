"""The daemon's database, opened as the settings say, and who else has it."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from hypersdk.config.daemon import DaemonSettings
from hypersdk.config.secrets import resolve
from hypersdk.database.engine import Database, SessionLock
from hypersdk.model.errors import Conflict

#: Query field with the reference to the password.
_PASSWORD = "password-from"  # noqa: S105 - where it is
#: Held by the one daemon of a database.
LOCK = "daemon"


def open_database(settings: DaemonSettings) -> Database:
    """Raises DatabaseUnavailable, DatabaseError, InvalidInput."""
    return Database.open(with_password(settings.database))


def with_password(url: str) -> str:
    """The URL with the password that its reference names, for the library alone."""
    parts = urlsplit(url)
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    reference = fields.pop(_PASSWORD, "")
    if not reference:
        return url
    host = parts.netloc.rpartition("@")[2]
    user = quote(parts.username or "", safe="")
    secret = quote(resolve(reference), safe="")
    netloc = f"{user}:{secret}@{host}"
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(fields), ""))


class OnlyDaemon:
    """There is one daemon for a database; workers there may be many."""

    def __init__(self, lock: SessionLock, note: Path | None) -> None:
        self._lock = lock
        self._note = note

    @classmethod
    def of(cls, database: Database, settings: DaemonSettings) -> OnlyDaemon:
        """Raises Conflict naming the other one when it can be known."""
        lock = database.lock(LOCK)
        note = _note_of(settings)
        if lock is None:
            raise Conflict(
                f"another hypervisord uses the database {database.place}{_who(note)}",
                hint="Stop that one, or give this one a database of its own: "
                "hypervisord --database sqlite:////PATH. More workers are begun with: "
                "hypervisord worker",
            )
        if note is not None:
            said = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "listen": settings.listen or str(settings.socket),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            note.write_text(json.dumps(said))
        return cls(lock, note)

    def held(self) -> bool:
        """False: the connection to PostgreSQL was lost, and somebody else may be the one now."""
        return self._lock.held()

    def release(self) -> None:
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        self._lock.release()


def _note_of(settings: DaemonSettings) -> Path | None:
    """Beside the lock of an SQLite database; on PostgreSQL nobody knows."""
    found = settings.database.removeprefix("sqlite:///")
    return Path(f"{found}.{LOCK}.json") if found != settings.database else None


def _who(note: Path | None) -> str:
    try:
        said = json.loads(note.read_text()) if note is not None else {}
        return f": process {said['pid']}, on {said['listen']}, since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
