"""Daemons that a person uses, by name: where each is, and where its token is kept.

``~/.config/hypersdk/hyperctl.toml``, readable by its owner only::

    default = "prod"

    [profiles.prod]
    url = "https://backup.example:8443"
    ca_file = "/etc/ssl/lab.pem"
    token = "keyring:hyperctl/prod"
    user = "ann"

A token is never in it: ``token`` is a reference (`config.secrets`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import platformdirs

from hypersdk.config.documents import read_document, toml_text, write_privately
from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import InvalidInput, NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIELDS = ("url", "ca_file", "token", "user")


@dataclass(frozen=True, slots=True)
class DaemonProfile:
    """One daemon."""

    name: str
    url: str
    #: PEM file of who signed its certificate; empty: the system's.
    ca_file: str = ""
    #: Reference to the token; empty: none.
    token: str = ""
    #: Who logged in last, for people.
    user: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(
                f"'{self.name}' is no name for a profile",
                hint="It has letters, digits, '.', '_' and '-' only, 64 at most.",
            )
        if self.token:
            SecretReference.parse(self.token)


@dataclass(frozen=True, slots=True)
class DaemonProfiles:
    """All of them."""

    known: Mapping[str, DaemonProfile] = field(default_factory=dict)
    default: str = ""

    def get(self, name: str) -> DaemonProfile:
        """Raises NotFound with the nearest name."""
        if name in self.known:
            return self.known[name]
        near = get_close_matches(name, self.known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        known = f"Known are {', '.join(sorted(self.known))}." if self.known else ""
        raise NotFound(
            f"there is no profile '{name}'",
            hint=f"{meant}{known or 'Make one with: hyperctl login --profile NAME -daemon URL'}",
        )

    def chosen(self) -> DaemonProfile | None:
        """The one that is used when none is named."""
        return self.known.get(self.default)

    def having(self, profile: DaemonProfile, *, default: bool = False) -> DaemonProfiles:
        """With one more, or one changed. The first is the default by itself."""
        known = {**self.known, profile.name: profile}
        chosen = profile.name if default or not self.default else self.default
        return DaemonProfiles(known, chosen)

    def without(self, name: str) -> DaemonProfiles:
        """Raises NotFound."""
        self.get(name)
        known = {each: profile for each, profile in self.known.items() if each != name}
        return DaemonProfiles(known, "" if self.default == name else self.default)


def profiles_file() -> Path:
    """Where they are kept, whether it exists or not."""
    return platformdirs.user_config_path("hypersdk") / "hyperctl.toml"


def load_daemon_profiles(file: Path | None = None) -> DaemonProfiles:
    """Raises InvalidInput for what is not understood."""
    file = file or profiles_file()
    if not file.exists():
        return DaemonProfiles()
    found = read_document(file)
    tables = found.get("profiles", {})
    unknown = set(found) - {"default", "profiles"}
    if unknown or not isinstance(tables, dict):
        wrong = min(unknown) if unknown else "profiles"
        raise InvalidInput(
            f"{file}: '{wrong}' is not understood", hint="It has default and [profiles.NAME]."
        )
    known = {name: _profile(file, name, table) for name, table in tables.items()}
    return DaemonProfiles(known, str(found.get("default", "")))


def save_daemon_profiles(profiles: DaemonProfiles, file: Path | None = None) -> None:
    """Replace the file."""
    lines = [f"default = {toml_text(profiles.default)}"] if profiles.default else []
    for name, profile in sorted(profiles.known.items()):
        lines += ["", f"[profiles.{toml_text(name)}]"]
        lines += [
            f"{key} = {toml_text(value)}" for key in _FIELDS if (value := getattr(profile, key))
        ]
    write_privately(file or profiles_file(), "\n".join([*lines, ""]), replace=True)


def _profile(file: Path, name: str, table: object) -> DaemonProfile:
    if not isinstance(table, dict) or "url" not in table:
        raise InvalidInput(f"{file}: profile {name} has no url", hint='Give it: url = "https://…"')
    if unknown := sorted(set(table) - set(_FIELDS)):
        near = get_close_matches(unknown[0], _FIELDS, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise InvalidInput(
            f"{file}: profile {name} has '{unknown[0]}', which is not understood",
            hint=f"{meant}It has {', '.join(_FIELDS)}.",
        )
    return DaemonProfile(name, **{key: str(value) for key, value in table.items()})
