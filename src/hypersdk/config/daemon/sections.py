"""Sections of the settings that describe the daemon itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from hypersdk.config.daemon.values import (
    AbsolutePath,
    Name,
    Seconds,
    Section,
    Size,
)

_MIB = 1 << 20


class WorkerSettings(Section):
    """The worker process that the daemon starts beside itself."""

    #: False: this daemon only serves; workers run elsewhere.
    enabled: bool = True
    #: Jobs at once in one worker.
    slots: int = Field(default=8, ge=1, le=1000)
    #: Queues whose jobs it takes; hypervisors say theirs.
    queues: list[Name] = Field(default=["default"], min_length=1)


class TlsSettings(Section):
    """Files in PEM. Renewed ones are read again on SIGHUP."""

    #: The certificate, and those between it and a known authority behind it.
    certificate: AbsolutePath
    #: Its private key, without a passphrase.
    key: AbsolutePath


class OidcSettings(Section):
    """An OpenID provider whose tokens are taken. Claims inside others have dots in their names."""

    #: ``https://login.example.org/realms/main``; its configuration is found below it.
    issuer: str = Field(pattern=r"^https?://.+")
    #: What tokens must be for, one of these.
    audience: list[str] = Field(min_length=1)
    #: Claim with the name of the user; one that never changes.
    user_claim: str = "sub"
    #: Claim with roles or groups.
    role_claim: str = "roles"
    #: Value of that claim → role; whoever has none of them may do nothing.
    roles: dict[str, Literal["viewer", "operator", "admin"]] = {}
    #: Claim with the tenant; empty: its users are of no tenant.
    tenant_claim: str = ""


class AuthSettings(Section):
    """Who may do what."""

    #: Callers on this machine need no account as long as there is none.
    open_loopback: bool = True
    #: Hours until a log-in ends.
    session_hours: float = Field(default=24.0, gt=0)
    #: Wrong passwords of one user from one address, before each further one takes longer.
    login_attempts: int = Field(default=5, ge=1)
    #: Days that a token may live at most; null: as long as it was made for.
    token_days: int | None = Field(default=None, ge=1)
    oidc: OidcSettings | None = None


class LimitSettings(Section):
    """What one caller may ask of the daemon."""

    #: Bytes of an ordinary request.
    body: Size = 10 * _MIB
    #: Bytes of an upload.
    upload: Size = 10 << 30
    #: Requests per second with one token; 0: no bound.
    rate_per_token: float = Field(default=500.0, ge=0)
    #: Seconds until the head of a request must have come.
    header_seconds: Seconds = 10.0
    #: Seconds for an ordinary request.
    request_seconds: Seconds = 60.0
    #: Seconds until a connection without a request is closed.
    idle_seconds: int = Field(default=75, ge=1)
    #: Connections at once.
    connections: int = Field(default=2000, ge=10)


class RetentionSettings(Section):
    """How long what has ended is kept in the database, in days; null: for ever."""

    jobs_days: int | None = Field(default=90, ge=1)
    events_days: int | None = Field(default=30, ge=1)
    #: Delivered webhooks and dead letters.
    deliveries_days: int | None = Field(default=30, ge=1)


class TraceSettings(Section):
    """Where spans go (OTLP over HTTP); needs the OpenTelemetry SDK."""

    #: ``http://collector:4318``; empty: nowhere.
    endpoint: str = ""
    #: Part of traces that is recorded, 0 … 1.
    sample: float = Field(default=1.0, ge=0, le=1)


class FolderSettings(Section):
    """Where jobs read and write on the hosts of workers."""

    #: Of exports that name no other place.
    exports: AbsolutePath
    #: What is uploaded to be imported.
    imports: AbsolutePath
    #: Images of optical discs; the hypervisor's own user reads them.
    isos: AbsolutePath
    #: Repositories, and images to back up.
    backups: AbsolutePath
    #: Jobs may name paths in these folders, and in those above, only; tenants those in the folder
    #: of their name in each. Empty: any path, and tenants none.
    allowed: list[AbsolutePath] = []

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> Any:
        return {} if value is None else value
