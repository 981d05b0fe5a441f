"""What a reload of the settings changes, and what waits for a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypersdk.config.daemon.files import Steps
from hypersdk.config.daemon.loading import written
from hypersdk.config.daemon.settings import DaemonSettings

#: Settings, or whole sections, that are in force as soon as they are read again. The others are
#: what the processes were begun with.
LIVE: frozenset[str] = frozenset(
    {
        "allowed_hosts",
        "allowed_origins",
        "drain_seconds",
        "hypervisors",
        "limits.rate_per_token",
        "log_level",
        "repositories",
        "retention",
        "webhooks",
        "webhooks_allow_private",
    }
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of settings whose values differ, as `written`."""

    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def compare(old: DaemonSettings, new: DaemonSettings) -> Changes:
    """Which settings differ, and which of these can be changed while the daemon runs."""
    before, after = _values(old), _values(new)
    applied: list[str] = []
    restart: list[str] = []
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            (applied if live(name) else restart).append(name)
    return Changes(tuple(applied), tuple(restart))


def live(name: str) -> bool:
    """Whether a setting can be changed by a reload: ``limits.rate_per_token``."""
    return name in LIVE or name.partition(".")[0] in LIVE


def merge(old: DaemonSettings, new: DaemonSettings) -> DaemonSettings:
    """The settings in force after a reload: ``new`` where that can be, else ``old``."""
    document, wanted = old.model_dump(), new.model_dump()
    for name in LIVE:
        section, _, key = name.partition(".")
        if key:
            document[section][key] = wanted[section][key]
        else:
            document[section] = wanted[section]
    return DaemonSettings.model_validate(document)


def _values(settings: DaemonSettings) -> dict[str, Any]:
    """Name → value; hypervisors, repositories and webhooks as wholes."""
    found: dict[str, Any] = {}

    def walk(value: Any, path: Steps) -> None:
        whole = len(path) == 2 and path[0] in {"hypervisors", "repositories"}
        if isinstance(value, Mapping) and value and not whole:
            for name, each in value.items():
                walk(each, (*path, name))
        elif whole or value != {}:
            found[written(path)] = value

    walk(settings.model_dump(mode="json"), ())
    return found
