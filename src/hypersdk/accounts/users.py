"""Users, and the rule that there is always somebody who may administer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from hypersdk.accounts.names import check_name, missing, possible
from hypersdk.accounts.passwords import Passwords, check_strength
from hypersdk.database.engine import Database, unique
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import tenants, tokens, users
from hypersdk.model.accounts import Role, User
from hypersdk.model.errors import (
    AlreadyExists,
    DatabaseError,
    InvalidInput,
    InvalidState,
    PreconditionFailed,
)

LOCAL_ISSUER = "local"
#: Users of one list: a page of the API, and one more to see whether there are more.
PAGE_MOST = 1001
#: Seconds for which "there are no accounts" is believed; another process may make the first one.
_NONE_SECONDS = 1.0
#: And for which "there are" is.
_SOME_SECONDS = 60.0


class UserStore:
    """Safe in threads. ``tenant``, where it is taken: only users of this one are there.

    Methods raise NotFound with the nearest name, InvalidInput, DatabaseUnavailable.
    """

    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        self._database = database
        self._passwords = passwords or Passwords()
        self._seen: tuple[bool, float] | None = None
        #: Called with a user's name after a change that matters to its requests.
        self.watchers: list[Callable[[str], None]] = []

    def create(
        self,
        name: str,
        password: str | None = None,
        role: Role = Role.VIEWER,
        tenant: str = "",
        issuer: str = LOCAL_ISSUER,
    ) -> User:
        """Without a password, it cannot log in with one. The first account is an admin's.

        Raises AlreadyExists; InvalidState for another first account.
        """
        check_name("user", name)
        stored = self._stored(name, password)
        user = User(
            name=name,
            role=role,
            tenant=tenant,
            issuer=issuer,
            created=self._database.now(),
            revision=1,
        )
        try:
            with self._database.write() as connection:
                _check_tenant(connection, tenant)
                self._database.lock_for_now(connection, "users")
                connection.execute(sa.insert(users).values(password=stored, **_row(user)))
                if issuer == LOCAL_ISSUER:
                    _check_somebody_administers(connection)
        except DatabaseError as error:
            if not unique(error):
                raise
            raise AlreadyExists(
                f"there is a user {name} already", hint="Change it, or take another name."
            ) from None
        self._changed(name)
        return user

    def get(self, name: str, *, tenant: str | None = None) -> User:
        with self._database.read() as connection:
            return _user(_found(connection, name, tenant))

    def list(
        self, *, tenant: str | None = None, limit: int = PAGE_MOST, after: str = ""
    ) -> tuple[User, ...]:
        """By name, those after the name ``after``."""
        query = sa.select(users).where(users.c.name > after).order_by(users.c.name)
        if tenant is not None:
            query = query.where(users.c.tenant == tenant)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(max(1, min(limit, PAGE_MOST))))
            return tuple(_user(row) for row in rows)

    def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        tenant: str | None = None,
        enabled: bool | None = None,
        revision: int | None = None,
    ) -> User:
        """Change what is given. Raises PreconditionFailed when it is not at ``revision`` any more,
        InvalidState when nobody could administer afterwards."""
        with self._database.write() as connection:
            self._database.lock_for_now(connection, "users")
            old = _user(_found(connection, name, None))
            if revision is not None and revision != old.revision:
                raise PreconditionFailed(
                    f"the user {name} was changed meanwhile", hint="Read it again, then change it."
                )
            if tenant is not None:
                _check_tenant(connection, tenant)
            new = replace(
                old,
                role=old.role if role is None else role,
                tenant=old.tenant if tenant is None else tenant,
                enabled=old.enabled if enabled is None else enabled,
                revision=old.revision + 1,
            )
            connection.execute(sa.update(users).where(users.c.name == name).values(**_row(new)))
            if old.issuer == LOCAL_ISSUER:
                _check_somebody_administers(connection)
        self._changed(name)
        return new

    def set_password(self, name: str, password: str) -> None:
        """Ends the user's sessions; tokens stay. Raises InvalidState for users of an issuer."""
        user = self.get(name)
        if user.issuer != LOCAL_ISSUER:
            raise InvalidState(
                f"{name} logs in at {user.issuer} and has no password here",
                hint="Change the password there.",
            )
        stored = self._stored(name, password)
        with self._database.write() as connection:
            connection.execute(
                sa.update(users)
                .where(users.c.name == name)
                .values(password=stored, revision=users.c.revision + 1)
            )
            connection.execute(
                sa.delete(tokens).where(tokens.c.user == name, tokens.c.kind == "session")
            )
        self._changed(name)

    def check_password(self, name: str, password: str) -> User | None:
        """The user when the password is right and it may log in. Takes as long for a user who is
        not there. A hash of outdated parameters is made anew. Raises TooManyRequests."""
        with self._database.read() as connection:
            row = _row_of(connection, name)
        right = self._passwords.matches("" if row is None else row.password, password)
        if row is None or not right or not row.enabled:
            return None
        values: dict[str, Any] = {"last_login": to_number(self._database.now())}
        if self._passwords.outdated(row.password):
            values["password"] = self._passwords.hash(password)
        with self._database.write() as connection:
            # Not when somebody changed it while we computed.
            connection.execute(
                sa.update(users)
                .where(users.c.name == name, users.c.password == row.password)
                .values(**values)
            )
        return replace(_user(row), last_login=from_number(values["last_login"]))

    def delete(self, name: str, *, revision: int | None = None) -> None:
        """With all its tokens. Raises PreconditionFailed, InvalidState for the last admin."""
        with self._database.write() as connection:
            self._database.lock_for_now(connection, "users")
            old = _user(_found(connection, name, None))
            if revision is not None and revision != old.revision:
                raise PreconditionFailed(
                    f"the user {name} was changed meanwhile", hint="Read it again, then delete it."
                )
            connection.execute(sa.delete(tokens).where(tokens.c.user == name))
            connection.execute(sa.delete(users).where(users.c.name == name))
            _check_somebody_administers(connection)
        self._changed(name)

    def any(self) -> bool:
        """Whether there are accounts, so that credentials are needed; at most a second old."""
        seen = self.any_seen()
        if seen is None:
            with self._database.read() as connection:
                found = connection.execute(sa.select(users.c.name).limit(1)).first()
            seen = found is not None
            self._seen = (seen, time.monotonic() + (_SOME_SECONDS if seen else _NONE_SECONDS))
        return seen

    def any_seen(self) -> bool | None:
        """The same when it is known without asking the database."""
        seen = self._seen
        return None if seen is None or seen[1] < time.monotonic() else seen[0]

    def _stored(self, name: str, password: str | None) -> str:
        if password is None:
            return ""
        check_strength(password, name)
        return self._passwords.hash(password)

    def _changed(self, name: str) -> None:
        self._seen = None
        for watcher in self.watchers:
            watcher(name)


def _check_somebody_administers(connection: Connection) -> None:
    found = connection.execute(
        sa.select(users.c.name)
        .where(users.c.role == Role.ADMIN.value, users.c.tenant == "", users.c.enabled)
        .limit(1)
    ).first()
    if found is None:
        raise InvalidState(
            "nobody could administer the daemon any more",
            hint="Make another enabled admin without a tenant first.",
        )


def _check_tenant(connection: Connection, tenant: str) -> None:
    if not tenant:
        return
    known = connection.execute(sa.select(tenants.c.name)).scalars().all()
    if tenant not in known:
        raise InvalidInput(str(missing("tenant", tenant, known).message), hint="Make it first.")


def _found(connection: Connection, name: str, tenant: str | None) -> Row[Any]:
    row = _row_of(connection, name)
    if row is None or (tenant is not None and row.tenant != tenant):
        known = sa.select(users.c.name)
        if tenant is not None:
            known = known.where(users.c.tenant == tenant)
        raise missing("user", name, connection.execute(known).scalars())
    return row


def _row_of(connection: Connection, name: str) -> Row[Any] | None:
    if not possible("user", name):
        return None
    return connection.execute(sa.select(users).where(users.c.name == name)).one_or_none()


def _row(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role.value,
        "tenant": user.tenant,
        "enabled": user.enabled,
        "issuer": user.issuer,
        "created": to_number(user.created),
        "last_login": to_number(user.last_login),
        "revision": user.revision,
    }


def _user(row: Row[Any]) -> User:
    return User(
        name=row.name,
        role=Role(row.role),
        tenant=row.tenant,
        enabled=row.enabled,
        issuer=row.issuer,
        created=from_number(row.created),
        last_login=from_number(row.last_login),
        revision=row.revision,
    )
