"""Settings for people and programs to see: without secrets, with where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hypersdk.config.daemon.files import Steps
from hypersdk.config.daemon.loading import written
from hypersdk.config.daemon.settings import DaemonSettings
from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import InvalidInput
from hypersdk.observe.redact import MASK, redact_text


def shown(settings: DaemonSettings) -> dict[str, Any]:
    """The settings as JSON. References to secrets stay; what may be one does not."""
    document: dict[str, Any] = _redacted(settings.model_dump(mode="json"))
    # Those with a password are refused, and what follows password-from is a reference.
    document["database"] = settings.database
    for name, hypervisor in settings.hypervisors.items():
        document["hypervisors"][name]["url"] = hypervisor.url
    for webhook in document["webhooks"]:
        webhook["url"] = masked_url(webhook["url"])
        webhook["headers"] = {name: masked(value) for name, value in webhook["headers"].items()}
    return document


def rows(settings: DaemonSettings, sources: Mapping[Steps, str]) -> list[tuple[str, str, str]]:
    """Name, value and origin of each setting, in their order; ``default`` for defaults."""
    found: list[tuple[str, str, str]] = []

    def walk(value: Any, path: Steps) -> None:
        if isinstance(value, dict) and value:
            for name, each in value.items():
                walk(each, (*path, name))
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            for at, each in enumerate(value):
                walk(each, (*path, at))
        else:
            found.append((written(path), _text(value), _source(path, sources)))

    walk(shown(settings), ())
    return found


def masked(text: str) -> str:
    """A reference as it is, anything else hidden."""
    try:
        return str(SecretReference.parse(text))
    except InvalidInput:
        return MASK if text else ""


def masked_url(url: str) -> str:
    """Scheme and host: the rest of a chat service's URL is a secret. References stay."""
    hidden = masked(url)
    if hidden != MASK:
        return hidden
    parts = urlsplit(url)
    rest = f"/{MASK}" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}" + (
        f":{parts.port}{rest}" if parts.port else rest
    )


def _redacted(value: Any) -> Any:
    """By form, not by name: names of settings such as ``rate_per_token`` hold no secrets."""
    if isinstance(value, dict):
        return {name: _redacted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    return redact_text(value) if isinstance(value, str) and not _reference(value) else value


def _reference(text: str) -> bool:
    return masked(text) not in {MASK, ""}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value) if value not in ("", {}) else "-"


def _source(path: Steps, sources: Mapping[Steps, str]) -> str:
    for end in range(len(path), 0, -1):
        if path[:end] in sources:
            return sources[path[:end]]
    return "default"
