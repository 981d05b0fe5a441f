"""Tokens: long random secrets, shown once; the database has only their SHA-256.

A secret reads ``hsdk_<id>_<256 random bits>``: the prefix lets scanners of public code find leaked
ones, the id lets people find the token to revoke. Unlike a password it needs no slow hash.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import tokens, users
from hypersdk.model.accounts import Role, Token, User
from hypersdk.model.errors import DatabaseUnavailable, InvalidInput, NotAllowed, NotFound

_log = logging.getLogger(__name__)

PREFIX = "hsdk_"
SESSION = "session"
#: Sessions of one user; a further one ends the oldest.
SESSIONS_MOST = 50
#: Tokens of one user.
TOKENS_MOST = 200
#: Tokens of one list: a page of the API, and one more to see whether there are more.
PAGE_MOST = 1001
#: ``last_used`` is written again after this long; each write costs a sync of the disk.
_USED_EVERY = timedelta(minutes=1)
_ID = re.compile(r"[0-9a-f]{16}")


class TokenStore:
    """Safe in threads. Methods raise NotFound, InvalidInput, DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Called with a user's name after one of its tokens was revoked.
        self.watchers: list[Callable[[str], None]] = []

    def now(self) -> datetime:
        """Of the clock by which tokens expire."""
        return self._database.now()

    def create(
        self,
        user: User,
        *,
        name: str,
        role: Role | None = None,
        scopes: Iterable[str] = (),
        expires: datetime | None = None,
        kind: str = "token",
    ) -> tuple[Token, str]:
        """A token and its secret, which nobody can show again. Its role is the user's, or less.

        Raises NotAllowed for more than the user's role, InvalidInput for an end in the past.
        """
        now = self._database.now()
        _check(user, role, expires, now)
        token = Token(
            id=secrets.token_hex(8),
            user=user.name,
            name=name,
            role=role or user.role,
            kind=kind,
            scopes=frozenset(scopes),
            created=now,
            expires=expires,
        )
        secret = f"{PREFIX}{token.id}_{secrets.token_urlsafe(32)}"
        with self._database.write() as connection:
            self._database.lock_for_now(connection, f"tokens:{user.name}")
            _make_room(connection, user.name, kind)
            connection.execute(sa.insert(tokens).values(digest=_digest(secret), **_row(token)))
        return token, secret

    def find(self, secret: str) -> tuple[Token, User] | None:
        """The token with its user; None when it is unknown, expired, or its user is disabled."""
        if not secret.startswith(PREFIX):
            return None
        query = (
            sa.select(tokens, *(each.label(f"user_{each.name}") for each in users.c))
            .join(users, users.c.name == tokens.c.user)
            .where(tokens.c.digest == _digest(secret))
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        now = self._database.now()
        if row is None or not row.user_enabled:
            return None
        token = _token(row)
        if token.expires is not None and token.expires <= now:
            return None
        if token.last_used is None or now - token.last_used >= _USED_EVERY:
            self._used(token.id, now)
        return token, _owner(row)

    def get(self, id: str, *, tenant: str | None = None) -> Token:
        """``tenant``: only tokens of its users are there."""
        query = sa.select(tokens).where(tokens.c.id == id)
        if tenant is not None:
            query = query.join(users, users.c.name == tokens.c.user).where(users.c.tenant == tenant)
        if not _ID.fullmatch(id):
            raise _unknown(id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _unknown(id)
        return _token(row)

    def list(
        self,
        user: str | None = None,
        *,
        tenant: str | None = None,
        limit: int = PAGE_MOST,
        after: str = "",
    ) -> tuple[Token, ...]:
        """By id, those after ``after``; of one user, of one tenant's users, or all."""
        query = sa.select(tokens).where(tokens.c.id > after).order_by(tokens.c.id)
        if user is not None:
            query = query.where(tokens.c.user == user)
        if tenant is not None:
            query = query.join(users, users.c.name == tokens.c.user).where(users.c.tenant == tenant)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(max(1, min(limit, PAGE_MOST))))
            return tuple(_token(row) for row in rows)

    def revoke(self, id: str) -> None:
        """It does not count from now on."""
        if not _ID.fullmatch(id):
            raise _unknown(id)
        with self._database.write() as connection:
            user = connection.execute(
                sa.delete(tokens).where(tokens.c.id == id).returning(tokens.c.user)
            ).scalar_one_or_none()
        if user is None:
            raise _unknown(id)
        self._changed(user)

    def revoke_secret(self, secret: str) -> None:
        """End a session by its own secret; nothing happens when it is unknown."""
        with self._database.write() as connection:
            user = connection.execute(
                sa.delete(tokens).where(tokens.c.digest == _digest(secret)).returning(tokens.c.user)
            ).scalar_one_or_none()
        if user is not None:
            self._changed(user)

    def revoke_sessions(self, user: str) -> int:
        """End all sessions of a user; gives how many."""
        with self._database.write() as connection:
            done = connection.execute(
                sa.delete(tokens).where(tokens.c.user == user, tokens.c.kind == SESSION)
            )
        self._changed(user)
        return int(done.rowcount)

    def forget_expired(self, before: datetime) -> int:
        """Delete those that expired before a moment; gives how many."""
        with self._database.write() as connection:
            done = connection.execute(sa.delete(tokens).where(tokens.c.expires < to_number(before)))
        return int(done.rowcount)

    def _used(self, id: str, now: datetime) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(
                    sa.update(tokens).where(tokens.c.id == id).values(last_used=to_number(now))
                )
        except DatabaseUnavailable as error:
            # Reading goes on while the disk is full; a request is not refused for this.
            _log.warning("the last use of token %s was not noted: %s", id, error.message)

    def _changed(self, user: str) -> None:
        for watcher in self.watchers:
            watcher(user)


def _check(user: User, role: Role | None, expires: datetime | None, now: datetime) -> None:
    if role is not None and not user.role.covers(role):
        raise NotAllowed(
            f"{user.name} is {user.role.value}, its token cannot be {role.value}",
            hint=f"Ask for {user.role.value} or less.",
        )
    if expires is not None and expires <= now:
        raise InvalidInput("the token would have expired already", hint="Give a later moment.")


def _make_room(connection: Connection, user: str, kind: str) -> None:
    mine = sa.select(tokens.c.id).where(tokens.c.user == user, tokens.c.kind == kind)
    ids = connection.execute(mine.order_by(tokens.c.created, tokens.c.id)).scalars().all()
    if kind == SESSION:
        oldest = ids[: max(0, len(ids) + 1 - SESSIONS_MOST)]
        connection.execute(sa.delete(tokens).where(tokens.c.id.in_(oldest)))
    elif len(ids) >= TOKENS_MOST:
        raise InvalidInput(
            f"{user} has {len(ids)} tokens already", hint="Revoke those that nobody uses."
        )


def _unknown(id: str) -> NotFound:
    return NotFound(f"there is no token {id[:64]!r}", hint="List them with GET /v1/tokens.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _row(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "user": token.user,
        "name": token.name,
        "role": token.role.value,
        "kind": token.kind,
        "scopes": sorted(token.scopes),
        "created": to_number(token.created),
        "expires": to_number(token.expires),
        "last_used": to_number(token.last_used),
    }


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        user=row.user,
        name=row.name,
        role=Role(row.role),
        kind=row.kind,
        scopes=frozenset(row.scopes),
        created=from_number(row.created),
        expires=from_number(row.expires),
        last_used=from_number(row.last_used),
    )


def _owner(row: Row[Any]) -> User:
    return User(
        name=row.user_name,
        role=Role(row.user_role),
        tenant=row.user_tenant,
        enabled=row.user_enabled,
        issuer=row.user_issuer,
        created=from_number(row.user_created),
        last_login=from_number(row.user_last_login),
        revision=row.user_revision,
    )
