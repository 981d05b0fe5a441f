"""Users, tokens, tenants and the audit log, from a client's side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from hypersdk.client.connection import Connection
from hypersdk.client.paging import pages

if TYPE_CHECKING:  # slow to import
    from hypersdk.contract.accounts import (
        AuditRecord,
        AuditVerdict,
        LoginRecord,
        MeRecord,
        NewTenant,
        NewToken,
        NewTokenRecord,
        NewUser,
        TenantChange,
        TenantRecord,
        TicketRecord,
        TokenRecord,
        UserChange,
        UserRecord,
    )


class Accounts:
    """``client.accounts``. Methods raise DaemonUnreachable, DaemonRefused."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def login(self, username: str, password: str) -> LoginRecord:
        """A session; its token is in this answer, and never again."""
        body = {"username": username, "password": password}
        return cast("LoginRecord", self._connection.call("login", body=body))

    def logout(self) -> None:
        """The token in use does not count any more."""
        self._connection.call("logout")

    def me(self) -> MeRecord:
        """Who we are, and what our tenant may use."""
        return cast("MeRecord", self._connection.call("get_me"))

    def set_own_password(self, old: str, new: str) -> None:
        """All other sessions of ours end."""
        self._connection.call("set_own_password", body={"old": old, "new": new})

    def end_own_sessions(self) -> int:
        """Log out everywhere; how many sessions ended."""
        return int(self._connection.call("end_own_sessions").ended)

    def ticket(self) -> TicketRecord:
        """To open one stream or console with, where no header can be sent."""
        return cast("TicketRecord", self._connection.call("create_ticket"))

    def users(self) -> Iterator[UserRecord]:
        return pages(self._connection, "list_users")

    def user(self, name: str) -> UserRecord:
        return cast("UserRecord", self._connection.call("get_user", {"name": name}))

    def create_user(self, new: NewUser) -> UserRecord:
        return cast("UserRecord", self._connection.call("create_user", body=new))

    def change_user(self, name: str, change: UserChange) -> UserRecord:
        return cast("UserRecord", self._connection.call("change_user", {"name": name}, body=change))

    def set_password(self, name: str, password: str) -> None:
        """For somebody else."""
        self._connection.call("set_password", {"name": name}, body={"password": password})

    def delete_user(self, name: str) -> None:
        self._connection.call("delete_user", {"name": name})

    def tokens(self, **filters: Any) -> Iterator[TokenRecord]:
        """Our own; an administrator sees all."""
        return pages(self._connection, "list_tokens", filters)

    def token(self, id: str) -> TokenRecord:
        return cast("TokenRecord", self._connection.call("get_token", {"id": id}))

    def create_token(self, new: NewToken) -> NewTokenRecord:
        """Its secret is in this answer, and never again."""
        return cast("NewTokenRecord", self._connection.call("create_token", body=new))

    def revoke_token(self, id: str) -> None:
        self._connection.call("revoke_token", {"id": id})

    def tenants(self) -> Iterator[TenantRecord]:
        return pages(self._connection, "list_tenants")

    def tenant(self, name: str) -> TenantRecord:
        return cast("TenantRecord", self._connection.call("get_tenant", {"name": name}))

    def create_tenant(self, new: NewTenant) -> TenantRecord:
        return cast("TenantRecord", self._connection.call("create_tenant", body=new))

    def change_tenant(self, name: str, change: TenantChange) -> TenantRecord:
        return cast(
            "TenantRecord", self._connection.call("change_tenant", {"name": name}, body=change)
        )

    def delete_tenant(self, name: str) -> None:
        self._connection.call("delete_tenant", {"name": name})

    def audit(self, **filters: Any) -> Iterator[AuditRecord]:
        """What was changed, newest first."""
        return pages(self._connection, "list_audit", filters)

    def verify_audit(self) -> AuditVerdict:
        """Whether nothing of the log was changed, removed or moved."""
        return cast("AuditVerdict", self._connection.call("verify_audit"))

    def export_audit(self) -> Iterator[str]:
        """All entries, oldest first, a line of JSON each."""
        with self._connection.stream("export_audit") as answer:
            yield from answer.iter_lines()
