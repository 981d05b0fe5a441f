"""Every setting of the daemon, with its meaning and default; docs/hypervisord.md has them all."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, Field, field_validator, model_validator

from hypersdk.config.daemon.estate import (
    HypervisorSettings,
    PlainUrl,
    RepositorySettings,
    WebhookSettings,
)
from hypersdk.config.daemon.sections import (
    AuthSettings,
    FolderSettings,
    LimitSettings,
    RetentionSettings,
    TlsSettings,
    TraceSettings,
    WorkerSettings,
)
from hypersdk.config.daemon.values import NAME, AbsolutePath, Reference, Seconds, Section

#: Folders that are below the state folder unless they are named.
_FOLDERS = ("exports", "imports", "isos", "backups")
_DATABASES = ("sqlite:///", "postgresql://")


def default_state_dir() -> Path:
    """What systemd gave, ``/var/lib/hypersdk`` for root, else below the user's home."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/hypersdk")
    return platformdirs.user_state_path("hypersdk")


def _address(value: str) -> str:
    """``HOST:PORT``; IPv6 in brackets; no host: every address of this machine."""
    if not value:
        return value
    found = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^\[\]:]*):(\d{1,5})", value)
    if found is None or int(found[2]) > 65535:
        raise ValueError("write HOST:PORT, such as localhost:8080 or [::]:8443")
    return value


def _database(value: str) -> str:
    if not value.startswith(_DATABASES):
        raise ValueError("write sqlite:////absolute/path.db or postgresql://USER@HOST/NAME")
    return value


class DaemonSettings(Section):
    """All settings in force."""

    #: ``HOST:PORT``; empty: only `socket`. Addresses others than loopback need `tls` and accounts.
    listen: Annotated[str, AfterValidator(_address)] = "localhost:8080"
    #: Unix socket to serve as well, for its owner and `socket_group`.
    socket: AbsolutePath | None = None
    #: Group that may use the socket; empty: that of the process.
    socket_group: str = ""
    tls: TlsSettings | None = None
    #: Names and addresses that requests may be for, besides those of `listen` and loopback.
    allowed_hosts: list[str] = []
    #: Origins of web pages that may call the API (``https://portal.example.org``).
    allowed_origins: list[str] = []
    #: Addresses of proxies whose ``X-Forwarded-For`` is believed.
    trusted_proxies: list[str] = []

    #: Where the daemon keeps what is its own.
    state_dir: AbsolutePath = Field(default_factory=default_state_dir)
    #: Unless given, a file in `state_dir`; its password by ``?password-from=REFERENCE``.
    database: Annotated[PlainUrl, AfterValidator(_database)]
    folders: FolderSettings

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: ``auto``: text on a terminal, else JSON.
    log_format: Literal["auto", "json", "text"] = "auto"

    workers: WorkerSettings = WorkerSettings()
    #: Seconds that running jobs and requests get when the daemon ends.
    drain_seconds: Seconds = 60.0

    hypervisors: dict[str, HypervisorSettings] = {}
    repositories: dict[str, RepositorySettings] = {}
    webhooks: list[WebhookSettings] = []
    #: Webhooks may go to private, loopback and link-local addresses.
    webhooks_allow_private: bool = False
    #: Reference to what secrets of webhooks are made of; empty: a file in `state_dir`. Workers on
    #: other hosts that are to deliver webhooks need the same.
    webhooks_key: Reference = ""

    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    traces: TraceSettings = TraceSettings()

    @model_validator(mode="before")
    @classmethod
    def _below_the_state_folder(cls, value: Any) -> Any:
        """Defaults that depend on another setting."""
        if not isinstance(value, Mapping):
            return value
        state = value.get("state_dir") or default_state_dir()
        if not isinstance(state, (str, Path)):
            return value  # refused where it stands
        folder = Path(os.path.abspath(Path(state).expanduser()))
        filled = {"database": f"sqlite:///{folder}/hypervisord.db", **value}
        folders = filled.get("folders") or {}
        if isinstance(folders, Mapping):
            filled["folders"] = {name: folder / name for name in _FOLDERS} | dict(folders)
        return filled

    @field_validator("hypervisors", "repositories")
    @classmethod
    def _plain_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"'{name}' is no name: it has letters, digits, '.', '_' and '-', 128 at most"
                )
        return value

    @field_validator("webhooks")
    @classmethod
    def _unique_names(cls, value: list[WebhookSettings]) -> list[WebhookSettings]:
        names = [each.name for each in value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"the name '{min(twice)}' is given twice")
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> DaemonSettings:
        if not self.listen and self.socket is None:
            raise ValueError("with listen empty, name a socket")
        return self

    @property
    def host(self) -> str:
        """Of `listen`, without brackets; empty: every address."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Of `listen`; 0: a free one is chosen."""
        return int(self.listen.rpartition(":")[2] or 0)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return not self.listen or self.host in {"localhost", "::1"} or self.host.startswith("127.")
