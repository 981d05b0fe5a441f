"""Hypervisors, repositories and webhooks that stand in the settings file."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, model_validator

from hypersdk.config.daemon.values import Name, Rate, Reference, Seconds, Section
from hypersdk.model.estate import Budget
from hypersdk.observe.redact import is_secret_name

#: Query fields of a URL that hold a reference to a secret.
_REFERRING = frozenset({"password-from", "token-from"})


def url_without_secrets(value: str) -> str:
    """Gives it back. Raises ValueError for a password in it, and for what is no URL."""
    try:
        parts = urlsplit(value)
        secret = parts.password is not None
    except ValueError:
        raise ValueError("this is no URL") from None
    if not parts.scheme or "://" not in value:
        raise ValueError("this is no URL: write SCHEME://…")
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if secret or any(is_secret_name(name) for name in names - _REFERRING):
        raise ValueError(
            "the URL contains a password or token; leave it out and name a reference instead: "
            "?password-from=env:NAME"
        )
    return value


#: Of a hypervisor or of a database: no password in it.
PlainUrl = Annotated[str, AfterValidator(url_without_secrets)]


class BudgetSettings(Section):
    """What all jobs together may use; nothing said: no bound."""

    #: Jobs at once.
    jobs: int | None = Field(default=None, ge=1)
    #: Bytes per second, shared by the jobs that run.
    bandwidth: Rate | None = None
    #: Jobs begun per minute.
    starts: int | None = Field(default=None, ge=1)

    def budget(self) -> Budget:
        """For the store."""
        return Budget(jobs=self.jobs, bandwidth=self.bandwidth, starts=self.starts)


class HypervisorSettings(Section):
    """One hypervisor; its URL alone may stand for all of it."""

    url: PlainUrl
    description: str = ""
    #: Whose it is; empty: of no tenant.
    tenant: str = ""
    #: Queue of the site whose workers reach it.
    queue: Name = "default"
    budget: BudgetSettings = BudgetSettings()
    #: Of each of its hosts.
    host_budget: BudgetSettings = BudgetSettings()
    #: Of each of its datastores.
    datastore_budget: BudgetSettings = BudgetSettings()
    tags: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _url_alone(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value


class RepositorySettings(Section):
    """One repository; its location alone may stand for all of it."""

    #: A path or ``s3://bucket/prefix``.
    location: str = Field(min_length=1)
    description: str = ""
    #: Whose it is; empty: of no tenant.
    tenant: str = ""
    #: Reference to its passphrase.
    key: Reference = ""
    #: Path of its key file.
    key_file: str = ""
    #: Path of a file with its identity.
    identity: str = ""
    budget: BudgetSettings = BudgetSettings()

    @model_validator(mode="before")
    @classmethod
    def _location_alone(cls, value: Any) -> Any:
        return {"location": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_key(self) -> RepositorySettings:
        if sum(map(bool, (self.key, self.key_file, self.identity))) > 1:
            raise ValueError("only one of key, key_file and identity can be given")
        return self


class WebhookSettings(Section):
    """Whom to tell of events."""

    #: Unique among the webhooks of the file.
    name: Name
    #: ``https://…``, or a reference to it, since URLs of chat services are secrets.
    url: str = Field(min_length=1)
    #: Names or groups (``job.*``); none: all.
    events: list[str] = []
    #: Told only of this tenant's events; empty: of all.
    tenant: str = ""
    #: Sent along; values may be references.
    headers: dict[str, str] = {}
    #: Reference to the secret that signs (``whsec_…``); empty: the daemon makes one.
    secret: Reference = ""
    #: Seconds for one attempt.
    timeout: Seconds = 10.0
    enabled: bool = True
