"""Accounts and tokens made on the daemon's own host, past its API; each change is in the audit
log, as of the account of the operating system."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from hypersdk.accounts.audit import AuditLog
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.app.database import open_database
from hypersdk.config.daemon import DaemonSettings
from hypersdk.database.engine import Database
from hypersdk.model.accounts import Principal, Role, Token, User

#: Where changes come from, as the audit log has it.
ORIGIN = "console"


class People:
    """Open while the ``with`` block runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = UserStore(database)
        self._tokens = TokenStore(database)
        self._audit = AuditLog(database)

    @classmethod
    def open(cls, settings: DaemonSettings) -> Self:
        """Raises DatabaseUnavailable, DatabaseError, InvalidInput."""
        return cls(open_database(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def add_user(self, name: str, role: Role, tenant: str, password: str) -> User:
        """Raises AlreadyExists, InvalidInput for a name or a weak password, NotFound for a tenant
        that is not there."""
        user = self._users.create(name, password, role, tenant)
        self._note("user.create", f"users/{name}", {"role": role.value, "tenant": tenant})
        return user

    def set_password(self, name: str, password: str) -> None:
        """Raises NotFound, InvalidInput, InvalidState."""
        self._users.set_password(name, password)
        self._note("user.password", f"users/{name}")

    def users(self) -> Sequence[User]:
        """All, by name."""
        found: list[User] = []
        while page := self._users.list(after=found[-1].name if found else ""):
            found += page
        return found

    def create_token(
        self,
        user: str,
        *,
        name: str,
        role: Role | None,
        scopes: Iterable[str],
        lifetime: timedelta | None,
    ) -> tuple[Token, str]:
        """The token and its secret. Raises NotFound, InvalidInput, NotAllowed for a role above its
        user's."""
        expires = self._database.now() + lifetime if lifetime is not None else None
        token, secret = self._tokens.create(
            self._users.get(user), name=name, role=role, scopes=scopes, expires=expires
        )
        self._note("token.create", f"tokens/{token.id}", {"user": user, "name": name})
        return token, secret

    def tokens(self) -> Sequence[Token]:
        """All, by id."""
        found: list[Token] = []
        while page := self._tokens.list(after=found[-1].id if found else ""):
            found += page
        return found

    def revoke_token(self, id: str) -> None:
        """Raises NotFound."""
        self._tokens.revoke(id)
        self._note("token.revoke", f"tokens/{id}")

    def _note(self, action: str, subject: str, after: Mapping[str, Any] | None = None) -> None:
        self._audit.record(Principal(_me(), Role.ADMIN), ORIGIN, action, subject, after=after)


def _me() -> str:
    """The operating system's name of who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
