"""The audit log: who changed what, from where, what it was and what it became.

Entry N holds SHA-256(digest of entry N-1 ‖ entry N as canonical JSON), and the database counts
entries apart from them. So `AuditLog.verify` finds an entry that was changed, removed or put
elsewhere. Whoever can write to the database could compute the whole chain anew; against that helps
a copy of any later head (`AuditLog.head`, also in each line of the daemon's own log): `verify`
finds that the chain does not lead there any more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import audit, counters
from hypersdk.model.accounts import AuditEntry, Principal
from hypersdk.observe.redact import redact

_log = logging.getLogger(__name__)

#: Entries of one list: a page of the API, and one more to see whether there are more.
PAGE_MOST = 1001
#: Characters of ``before``, ``after`` and ``details`` each; longer ones are cut to a note.
_LONGEST = 64 << 10
_COUNTER = "audit.number"


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry, by which the whole log is known. Number 0: the log is empty."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries to list. Empty fields do not restrict."""

    user: str = ""
    tenant: str | None = None
    #: ``schedule.update``, or ``schedule.*``.
    action: str = ""
    #: Found in the subject.
    subject: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


class AuditLog:
    """Safe in threads and among processes: entries follow each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        principal: Principal | None,
        origin: str,
        action: str,
        subject: str,
        *,
        outcome: str = "done",
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> AuditEntry:
        """Append an entry, without the secrets in it. ``principal``: None for the daemon itself."""
        entry = AuditEntry(
            number=0,
            time=self._database.now(),
            user=_text(principal.user if principal else ""),
            tenant=_text(principal.tenant if principal else ""),
            origin=_text(origin),
            action=_text(action),
            subject=_text(redact(subject)),
            outcome=_text(outcome),
            before=_plain(before),
            after=_plain(after),
            details=_plain(details) or {},
        )
        with self._database.write() as connection:
            # From here on no other entry is written before this one is committed.
            number = self._database.next_numbers(connection, _COUNTER)
            before_it = connection.execute(
                sa.select(audit.c.digest).where(audit.c.number == number - 1)
            ).scalar_one_or_none()
            entry = replace(entry, number=number)
            entry = replace(entry, digest=_digest(before_it or "", entry))
            connection.execute(sa.insert(audit).values(**_row(entry)))
        _log.info(
            "audit %d: %s by %s: %s", entry.number, entry.action, entry.user or "-", entry.outcome,
            extra={"subject": entry.subject, "digest": entry.digest},
        )  # fmt: skip
        return entry

    def list(
        self, wanted: AuditFilter | None = None, *, before: int | None = None, limit: int = 50
    ) -> tuple[AuditEntry, ...]:
        """Newest first, those before the number ``before``."""
        query = sa.select(audit).where(*_conditions(wanted or AuditFilter()))
        if before is not None:
            query = query.where(audit.c.number < before)
        query = query.order_by(audit.c.number.desc()).limit(max(1, min(limit, PAGE_MOST)))
        with self._database.read() as connection:
            return tuple(_entry(row) for row in connection.execute(query))

    def head(self) -> Head:
        """Keep it elsewhere, and give it to `verify` later."""
        query = sa.select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Head(0, "") if row is None else Head(row.number, row.digest)

    def verify(self, known: Head | None = None) -> int | None:
        """The number of the first entry that is not as it was written; None when all are.

        ``known``: a head that was read earlier, and to which the log must still lead.
        """
        with self._database.read() as connection:
            written = connection.execute(
                sa.select(counters.c.value).where(counters.c.name == _COUNTER)
            ).scalar_one_or_none()
        digest, number = "", 0
        for entry in self._entries(AuditFilter()):
            number += 1
            if entry.number != number or entry.digest != _digest(digest, entry):
                return number
            if known is not None and known.number == number and known.digest != entry.digest:
                return number
            digest = entry.digest
        expected = max(int(written or 0), known.number if known else 0)
        return number + 1 if number < expected else None

    def export(self, wanted: AuditFilter | None = None) -> Iterator[str]:
        """Oldest first, each one line of JSON; read in pages, so a long log takes no memory."""
        for entry in self._entries(wanted or AuditFilter()):
            yield _json({**_plain_entry(entry), "digest": entry.digest}) + "\n"

    def _entries(self, wanted: AuditFilter) -> Iterator[AuditEntry]:
        query = sa.select(audit).where(*_conditions(wanted)).order_by(audit.c.number)
        after = -1
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    query.where(audit.c.number > after).limit(PAGE_MOST)
                ).all()
            yield from map(_entry, rows)
            if len(rows) < PAGE_MOST:
                return
            after = rows[-1].number


def _digest(before: str, entry: AuditEntry) -> str:
    return hashlib.sha256((before + _json(_plain_entry(entry))).encode()).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "time": entry.time.isoformat(timespec="microseconds"),
        "user": entry.user,
        "tenant": entry.tenant,
        "origin": entry.origin,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "before": entry.before,
        "after": entry.after,
        "details": entry.details,
    }


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Without secrets, of what every database keeps as it is, and not without end."""
    if not value:
        return None
    found: dict[str, Any] = _storable(redact(value))
    length = len(_json(found))
    if length <= _LONGEST:
        return found
    return {"cut": f"{length} characters of JSON are too many for the audit log"}


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _conditions(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.user:
        found.append(audit.c.user == _text(wanted.user))
    if wanted.tenant is not None:
        found.append(audit.c.tenant == wanted.tenant)
    if wanted.action.endswith("*"):
        found.append(audit.c.action.startswith(_text(wanted.action[:-1]), autoescape=True))
    elif wanted.action:
        found.append(audit.c.action == _text(wanted.action))
    if wanted.subject:
        found.append(audit.c.subject.contains(_text(wanted.subject), autoescape=True))
    if wanted.outcome:
        found.append(audit.c.outcome == _text(wanted.outcome))
    if wanted.since is not None:
        found.append(audit.c.time >= to_number(wanted.since))
    if wanted.until is not None:
        found.append(audit.c.time < to_number(wanted.until))
    return found


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        **_plain_entry(entry),
        "time": to_number(entry.time),
        "digest": entry.digest,
    }


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        time=from_number(row.time),
        user=row.user,
        tenant=row.tenant,
        origin=row.origin,
        action=row.action,
        subject=row.subject,
        outcome=row.outcome,
        before=row.before,
        after=row.after,
        details=row.details or {},
        digest=row.digest,
    )
