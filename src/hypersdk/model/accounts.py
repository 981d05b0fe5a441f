"""Who may do what: users, tokens, roles, tenants, and the record of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


class Role(Enum):
    """Each may do what those before it may."""

    #: Look at everything of its tenant.
    VIEWER = "viewer"
    #: Also run, stop and submit.
    OPERATOR = "operator"
    #: Also hypervisors, repositories, webhooks, users, tokens of others, tenants.
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether somebody with this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may use; None: no bound."""

    instances: int | None = None
    #: Bytes kept in repositories.
    bytes: int | None = None
    #: Jobs that run at once.
    jobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Sees only what is its own."""

    name: str
    description: str = ""
    quota: Quota = Quota()
    created: datetime
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account; its password is nowhere but as a hash in the database."""

    name: str
    role: Role
    #: Empty: of no tenant, sees everything its role allows.
    tenant: str = ""
    #: False: may not log in; its tokens do not count.
    enabled: bool = True
    #: Who vouches for it: ``local``, or the issuer of an OpenID provider.
    issuer: str = "local"
    created: datetime
    last_login: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret."""

    id: str
    user: str
    #: For people: ``nightly cron``.
    name: str
    #: At most the user's own role.
    role: Role
    #: ``session`` ends with a log-out; ``token`` lives until it expires or is revoked.
    kind: str = "token"
    #: Parts of the API it is for (``jobs``, ``instances``); empty: all.
    scopes: frozenset[str] = frozenset()
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request."""

    #: Name of the user; ``local`` for a caller on an open loopback.
    user: str
    role: Role
    #: Empty: of no tenant.
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    #: Id of the token; empty for an open loopback.
    token: str = ""

    def sees(self, tenant: str) -> bool:
        """Whether what belongs to ``tenant`` is there for it at all."""
        return not self.tenant or self.tenant == tenant


#: Who calls over an open loopback.
LOCAL = Principal("local", Role.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change, by whom and from where. Each holds the digest of the one before it."""

    number: int
    time: datetime
    user: str
    tenant: str = ""
    #: Address of the caller; empty for the daemon itself.
    origin: str = ""
    #: ``schedule.update``, ``instance.start`` …
    action: str
    #: What was changed: ``schedules/nightly``.
    subject: str
    #: ``done`` or ``refused``, or the class of the error.
    outcome: str = "done"
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    #: SHA-256 over the digest before it and this entry, in hex.
    digest: str = ""
