"""Answers to requests with an ``Idempotency-Key``, kept for a day.

Whoever does not know whether a request arrived sends it again with the same key and gets the same
answer; what it asked for is done once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import answers
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import IdempotencyMismatch, RequestRunning

#: How long an answer is kept.
KEPT = timedelta(days=1)
#: A request that another process began and did not end by then died with it.
_ORPHANED = timedelta(seconds=30)
#: Of this process; requests of an earlier one are not waited for.
_PROCESS = secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerStore:
    """Safe in threads. Keys of different principals are different keys."""

    def __init__(self, database: Database, process: str = _PROCESS) -> None:
        self._database = database
        self._process = process

    def begin(self, principal: Principal, key: str, request: str) -> Answer | None:
        """The answer that was given already; None when the request is to be carried out now, after
        which `finish` or `give_up` follows.

        ``request``: a digest of what is asked for. Raises IdempotencyMismatch when the key belongs
        to another request, RequestRunning while the first one is carried out.
        """
        name, now = _name(principal, key), self._database.now()
        with self._database.write() as connection:
            self._database.lock_for_now(connection, f"answers:{name}")
            row = connection.execute(sa.select(answers).where(answers.c.key == name)).one_or_none()
            age = timedelta.max if row is None else now - from_number(row.created)
            if row is not None and age < KEPT:
                if row.request != request:
                    raise IdempotencyMismatch(
                        "the Idempotency-Key was used for another request",
                        hint="Make a new key for each request, and repeat it only with the same.",
                    )
                if row.status is not None:
                    return Answer(row.status, row.headers or {}, bytes(row.body or b""))
                if (row.headers or {}).get("process") == self._process or age < _ORPHANED:
                    raise RequestRunning(
                        "the first request with this Idempotency-Key is being carried out",
                        hint="Send it again in a second.",
                    )
            connection.execute(sa.delete(answers).where(answers.c.key == name))
            connection.execute(
                sa.insert(answers).values(
                    key=name,
                    request=request,
                    headers={"process": self._process},
                    created=to_number(now),
                )
            )
        return None

    def finish(self, principal: Principal, key: str, answer: Answer) -> None:
        """Keep the answer."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(answers)
                .where(answers.c.key == _name(principal, key))
                .values(status=answer.status, headers=dict(answer.headers), body=answer.body)
            )

    def give_up(self, principal: Principal, key: str) -> None:
        """It failed: the next request with the key is carried out."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(answers).where(
                    answers.c.key == _name(principal, key), answers.c.status.is_(None)
                )
            )

    def forget(self, before: datetime) -> int:
        """Delete answers to requests that began before a moment; gives how many."""
        with self._database.write() as connection:
            done = connection.execute(
                sa.delete(answers).where(answers.c.created < to_number(before))
            )
        return int(done.rowcount)


def _name(principal: Principal, key: str) -> str:
    """Of fixed length, whatever the client took as key."""
    owner = f"{principal.tenant}\0{principal.user}\0{key}"
    return hashlib.sha256(owner.encode("utf-8", "replace")).hexdigest()
