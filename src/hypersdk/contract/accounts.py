"""Users, tokens, tenants, log-ins and the audit log on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment, Name

RoleWord = Literal["viewer", "operator", "admin"]
#: Names of users may be addresses.
UserName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$")]
#: Never shown again, neither in answers nor in errors; the least length is checked by the daemon.
Password = Annotated[str, Field(max_length=1024)]
Scope = Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,63}$")]
#: 63 bits, as databases count.
Amount = Annotated[int, Field(ge=0, lt=1 << 63)]


class LoginRequest(Asked):
    """A name and a password."""

    username: str = Field(max_length=256)
    password: Password = Field(repr=False)


class LoginRecord(Answer):
    """A session; its token is shown this once."""

    token: str = Field(repr=False)
    username: str
    expires_at: Moment


class LogoutRecord(Answer):
    message: str


class WhoRecord(Answer):
    """Who a request is made by."""

    username: str
    role: RoleWord
    #: Empty: of no tenant, sees everything its role allows.
    tenant: str = ""
    #: Parts of the API that the token is for; empty: all.
    scopes: list[str] = []
    #: No credentials were needed: there are no accounts, and the caller is on this machine.
    open: bool = False


class QuotaRecord(Asked):
    """What a tenant may use; null: no bound."""

    instances: Amount | None = None
    #: Bytes kept in repositories.
    bytes: Amount | None = None
    #: Jobs that run at once.
    jobs: Amount | None = None


class UsageRecord(Answer):
    """What a tenant uses now."""

    instances: int = 0
    bytes: int = 0
    jobs: int = 0


class MeRecord(WhoRecord):
    """Who asks, and what its tenant may use and uses."""

    #: Id of the token that was used.
    token: str = ""
    quota: QuotaRecord | None = None
    used: UsageRecord | None = None


class OwnPassword(Asked):
    """A new password for oneself."""

    old: Password = Field(repr=False)
    new: Password = Field(repr=False)


class SessionsRecord(Answer):
    """How many sessions ended."""

    ended: int


class UserRecord(Answer):
    """An account."""

    name: str
    role: RoleWord
    tenant: str = ""
    enabled: bool = True
    #: ``local``, or the OpenID provider that vouches for it.
    issuer: str = "local"
    created: Moment
    last_login: Moment | None = None
    revision: int = 0


class NewUser(Asked):
    """An account to be made."""

    name: UserName
    #: Ten characters or more, and not one that is tried first; null: it cannot log in.
    password: Password | None = Field(default=None, repr=False)
    role: RoleWord = "viewer"
    tenant: Name | Literal[""] = ""


class UserChange(Asked):
    """What is to be changed; what is left out stays."""

    role: RoleWord | None = None
    tenant: Name | Literal[""] | None = None
    enabled: bool | None = None


class NewPassword(Asked):
    """A password for somebody."""

    password: Password = Field(repr=False)


class TokenRecord(Answer):
    """A token without its secret."""

    id: str
    user: str
    name: str
    role: RoleWord
    #: ``session`` ends with a log-out; ``token`` when it expires or is revoked.
    kind: Literal["session", "token"] = "token"
    scopes: list[str] = []
    created: Moment
    expires: Moment | None = None
    #: To the minute.
    last_used: Moment | None = None


class NewToken(Asked):
    """A token to be made."""

    #: For people: ``nightly cron``.
    name: str = Field(min_length=1, max_length=128)
    #: The user's own role or less; null: the user's own.
    role: RoleWord | None = None
    #: Parts of the API it is for; empty: all.
    scopes: list[Scope] = Field(default=[], max_length=64)
    expires: Moment | None = None
    #: For whom; only administrators make tokens for others.
    user: UserName | None = None


class NewTokenRecord(TokenRecord):
    """A token with its secret, which is shown this once."""

    secret: str = Field(repr=False)


class TenantRecord(Answer):
    """A tenant, what it may use and what it uses."""

    name: str
    description: str = ""
    quota: QuotaRecord = QuotaRecord()
    used: UsageRecord = UsageRecord()
    created: Moment
    revision: int = 0


class NewTenant(Asked):
    """A tenant to be made."""

    name: Name
    description: str = Field(default="", max_length=4096)
    quota: QuotaRecord = QuotaRecord()


class TenantChange(Asked):
    """What is to be changed; what is left out stays. A quota is replaced as a whole."""

    description: str | None = Field(default=None, max_length=4096)
    quota: QuotaRecord | None = None


class AuditRecord(Answer):
    """One change, by whom and from where."""

    number: int
    time: Moment
    user: str
    tenant: str = ""
    origin: str = ""
    action: str
    subject: str
    #: ``done``, ``refused``, or the class of the error.
    outcome: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    details: dict[str, Any] = {}
    digest: str


class AuditHead(Answer):
    """The last entry. Keep it elsewhere: later, the log must still lead to it."""

    number: int
    digest: str


class AuditVerdict(Answer):
    """Whether the audit log is as it was written."""

    intact: bool
    #: Number of the first entry that is not; null when all are.
    broken: int | None = None
    head: AuditHead


class TicketRecord(Answer):
    """In place of a token, once: ``GET /v1/events?ticket=…``."""

    ticket: str = Field(repr=False)
    #: Seconds until it does not count any more.
    seconds: float
